/* placement: on which GPUs a claim is placed, and which it closes when it must wait. Sets of GPUs
 * are taken at once or not at all. */
#pragma once
#include "core/state.h"

/* need.gpu_count GPUs out of `open` that have room now, those of `prefer` first, then the best; 0:
 * not enough. */
uint32_t placement_find(const struct core *core, const struct claim *claim, uint32_t open,
			uint32_t prefer);
/* Where it should wait: need.gpu_count GPUs of its mask, among them at least one of `open`, that
 * can be had soonest. */
uint32_t placement_choose(const struct core *core, const struct claim *claim, uint32_t open);
/* All that can be made to leave this GPU would make room for the need. By sums of who cannot, which
 * placement_settle brings up to date. */
bool placement_possible(const struct core *core, const struct session *session,
			const struct need *need, uint32_t gpu);
/* GPUs of `mask` that are open to the need and where it is possible; 0: fewer than it asks for. */
uint32_t placement_possible_gpus(const struct core *core, const struct session *session,
				 const struct need *need, uint32_t mask);
/* Whether somebody else may be possible now. */
bool placement_settle(struct core *core);
/* Who holds there, or may stay, has changed. */
void placement_unsettle(struct core *core, uint32_t gpus);
/* Compute turns end, and evictable residents can be moved; only other residents stay. */
bool placement_can_leave(const struct claim *holder);
