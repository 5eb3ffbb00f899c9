/* drain: a lease that is over, but whose capacity is not free yet: others still run inside it, or
 * its memory was measured and no later sample showed it free. It has no holder, its token is
 * refused, and only accounting still finds it. */
#pragma once
#include "base/mono.h"
#include "core/types.h"

struct claim;
struct core;
struct event;

/* Its capacity cannot be given to others when it ends. */
bool drain_needed(const struct core *core, const struct claim *claim);
/* CLAIM_DRAINING: its turn is over; `end` is why. */
void drain_begin(struct core *core, struct claim *claim, enum end_reason end);
/* A guest has left, or it was restored: its turn is over once nobody inside computes, the lease
 * once nobody is inside. */
void drain_settle(struct core *core, struct claim *claim);
/* A sample came. */
void drain_judge(struct core *core, const struct event *event, struct mono_ms measured);
/* It timed out: what it still uses counts as unmanaged from here on. */
void drain_due(struct core *core, struct claim *claim);
