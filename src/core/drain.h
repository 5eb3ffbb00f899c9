/* drain: a lease that is over, but whose room is not free yet: others still run inside it, or its
 * memory was measured and no later sample showed it free. Nobody holds it any more, its token is
 * refused, and it is found by nobody but those who look for what is taken. */
#pragma once
#include "core/state.h"

/* Its room cannot be given to others at its end. */
bool drain_needed(const struct core *core, const struct claim *claim);
/* CLAIM_DRAINING: its turn is over; `end` is why. */
void drain_begin(struct core *core, struct claim *claim, enum end_reason end);
/* The last guest has left, or it was restored. */
void drain_settle(struct core *core, struct claim *claim);
/* A sample came. */
void drain_judge(struct core *core, const struct event *event, struct mono_ms measured);
/* Its time is over: what is left of it is nobody's that the broker knows. */
void drain_due(struct core *core, struct claim *claim);
