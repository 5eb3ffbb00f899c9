/* schedule: who is granted, and the walk over the queue at the end of each step that decides it.
 * Compute turns and memory are closed each on its own, and only by who could be served: classes
 * that are due first, then voice, then all by their keys (docs/states.md, Order). */
#pragma once
#include "core/state.h"

void schedule_run(struct core *core);
/* OFFERED, and for plain claims at once HELD. The room must be there. */
void schedule_grant(struct core *core, struct claim *claim, uint32_t gpus);
/* OFFERED -> HELD. */
void schedule_hold(struct core *core, struct claim *claim);
/* The journal was lost: who held before the start may still use a GPU. */
bool schedule_in_doubt(const struct core *core, struct mono_ms now);
bool schedule_may_grant(const struct core *core);
/* GPUs that work, for a claim with or without VRAM. */
uint32_t schedule_open(const struct core *core, bool vram);
