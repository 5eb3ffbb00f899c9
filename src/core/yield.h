/* yield: asking a holder for its lease, with the time that it has for that. What happens when the
 * time is over is revoke's. */
#pragma once
#include "core/send.h"
#include "core/types.h"

struct claim;
struct core;

/* HELD -> YIELDING: asks it to yield to claim for_id (0: to none). */
void yield_ask(struct core *core, struct claim *claim, enum yield_reason reason, uint64_t for_id);
/* YIELDING, not revoked: changes the claim that it is asked to yield to. */
void yield_pass(struct core *core, struct claim *claim, uint64_t for_id);
/* YIELDING, not revoked -> HELD: no longer needed, the holder keeps it. */
void yield_withdraw(struct core *core, struct claim *claim);
/* After a restart: a model of the gateway's, which may ask for it again by its request_id. */
void yield_await(struct core *core, struct claim *claim);
/* .. and did, on a new connection. */
void yield_awaited(struct core *core, struct claim *claim);
/* YIELDING, revoked or not: repeats what was asked, to a holder with a new connection. */
void yield_remind(struct core *core, const struct claim *claim);
/* The time for it, as the holder declared it. */
int64_t yield_grace_ms(const struct core *core, const struct claim *claim);
/* A message for the caller to fill in; dropped where nobody listens any more. */
struct send_effect *yield_tell(struct core *core, const struct claim *claim, enum send_kind msg);
