/* placement: on which GPUs a claim is placed, and which it keeps when it must wait. Several GPUs
 * are taken at once or not at all. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct claim;
struct core;
struct need;
struct session;

/* need.gpu_count GPUs of `open` where it fits now, those of `prefer` first, then the best; 0: not
 * enough. */
uint32_t placement_find(const struct core *core, const struct claim *claim, uint32_t open,
			uint32_t prefer);
/* Where it should wait: need.gpu_count GPUs of its mask, among them at least one of `open`, that
 * can be had soonest; `due`: where its class is due. */
uint32_t placement_choose(const struct core *core, const struct claim *claim, uint32_t open,
			  uint32_t due);
/* Whether the need fits once everything reclaimable has left this GPU. Uses sums that
 * placement_settle keeps up to date. */
bool placement_possible(const struct core *core, const struct session *session,
			const struct need *need, uint32_t gpu);
/* GPUs of `mask` that are open to the need and where it is possible; 0: fewer than it asks for. */
uint32_t placement_possible_gpus(const struct core *core, const struct session *session,
				 const struct need *need, uint32_t mask);
/* Brings the sums of core.unsettled up to date; true: another claim may have become possible. */
bool placement_settle(struct core *core);
/* Compute turns end, and evictable residents can be moved; other residents stay, and what was
 * granted in observe mode. */
bool placement_can_leave(const struct claim *holder);
