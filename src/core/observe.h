/* observe: the mode in which nothing is enforced. The rules grant what they would; whom they let
 * wait is granted at once beside the others, and its record says so (`would_wait`). Nobody is asked
 * to leave, revoked or signalled but by an operator, also later: a lease that was granted so stays
 * until it ends, and where leases overlap when the rules come into force nothing is granted before
 * there is room (docs/states.md, Observe mode). */
#pragma once
#include "core/state.h"

enum { OBSERVE_SLOTS_MAX = 1024 }; /* of one claim: sums over all leases cannot overflow */

/* The mode begins, or a broker starts in it: whom the rules had asked keeps what it has. */
void observe_begin(struct core *core);
/* After the passes of the scheduler: grants all who can hear of it. */
void observe_rest(struct core *core);
/* A claim that would have had to wait was granted: tells people beside whom. */
void observe_collided(struct core *core, const struct claim *claim);
/* GPUs that could hold the need if nothing else were there; in this mode, where those are too few,
 * all that it names. */
uint32_t observe_eligible(const struct core *core, const struct need *need);

/* Nobody but an operator makes it leave. */
static inline bool observe_stays(const struct core *core, const struct claim *claim)
{
	return core->config.observe || claim->rec.observed;
}
/* An operator has asked it: what else befalls it then does not take that back. */
static inline bool observe_asked(const struct claim *claim)
{
	return claim->rec.observed && claim->rec.state == CLAIM_YIELDING &&
	       claim->rec.yield_reason == YIELD_OPERATOR;
}
