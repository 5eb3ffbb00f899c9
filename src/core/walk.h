/* walk: one pass over all who wait. It grants whom it can, lets the first that cannot be served yet
 * keep what it lacks, and asks holders to make room for it. */
#pragma once
#include "core/state.h"

/* False: somebody for whom room was kept found some elsewhere, so a new pass may serve more. */
bool walk_once(struct core *core);
/* Nobody is served: no GPU is kept for anybody. */
void walk_forget(struct core *core);
/* The same, and that nobody waits there, for GPUs that are not configured any more. */
void walk_retire(struct core *core);
/* Who waits where, for the shares; and when waiting alone will change a decision: core.wake. */
void walk_settle(struct core *core);
/* After so long without memory the first of a class that waits for it is next. */
int64_t walk_memory_ms(const struct core *core, enum lease_class cls);
