/* schedule: who is granted, decided by the walk over the queue at the end of each step. Compute
 * turns and memory are kept separately, and only for claims that could be served: classes that are
 * due first, then voice, then all by their keys (docs/states.md, Order). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"

struct claim;
struct core;

void schedule_run(struct core *core);
/* OFFERED, and for plain claims at once HELD. The need must fit, unless it says `would_wait`. */
void schedule_grant(struct core *core, struct claim *claim, uint32_t gpus);
/* OFFERED -> HELD. */
void schedule_hold(struct core *core, struct claim *claim);
/* The journal was lost: earlier holders may still use a GPU. */
bool schedule_in_doubt(const struct core *core, struct mono_ms now);
bool schedule_may_grant(const struct core *core);
/* GPUs that work, for a claim with or without VRAM. */
uint32_t schedule_open(const struct core *core, bool vram);
