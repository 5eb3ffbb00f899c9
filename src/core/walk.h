/* walk: one pass over all waiters. It grants what it can, and lets the first that cannot be served
 * yet keep what it lacks. */
#pragma once
#include "core/types.h"

struct core;

/* False: a head was served elsewhere, so a new pass may serve more. */
bool walk_once(struct core *core);
/* Clears all heads: no GPU is kept for anybody. */
void walk_forget(struct core *core);
/* Clears heads and waiters of GPUs that are no longer configured. */
void walk_retire(struct core *core);
/* Records who waits where, for the shares; and when time alone will change a decision:
 * core.wake. */
void walk_settle(struct core *core);
/* After so long without memory the first of a class that waits for it goes next. */
int64_t walk_memory_ms(const struct core *core, enum lease_class cls);
