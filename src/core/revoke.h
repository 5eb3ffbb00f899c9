/* revoke: taking a lease back. First the holder is asked and has its grace; then the lease is
 * revoked: its token is refused, and the capacity becomes free once the holder is known or presumed
 * to have stopped. */
#pragma once
#include "core/types.h"

struct claim;
struct core;

/* HELD -> YIELDING: asks it to yield to claim for_id (0: to none). */
void revoke_ask(struct core *core, struct claim *claim, enum yield_reason reason, uint64_t for_id);
/* YIELDING, not revoked: changes the claim that it is asked to yield to. */
void revoke_pass(struct core *core, struct claim *claim, uint64_t for_id);
/* YIELDING, not revoked -> HELD: no longer needed, the holder keeps it. */
void revoke_withdraw(struct core *core, struct claim *claim);
/* Any state that holds capacity -> revoked, with its guests. It ends as end_as: in this step if
 * nothing can still use the GPU. */
void revoke_begin(struct core *core, struct claim *claim, enum yield_reason reason,
		  enum end_reason end_as);
/* The same for a native holder whose peer is gone but whose children live: straight to SIGKILL. */
void revoke_kill(struct core *core, struct claim *claim, enum end_reason end_as);
/* After a restart: a model of the gateway's, which may ask for it again by its request_id. */
void revoke_await(struct core *core, struct claim *claim);
/* .. and did, on a new connection. */
void revoke_awaited(struct core *core, struct claim *claim);
/* Repeats what was asked, to a holder with a new connection. */
void revoke_remind(struct core *core, const struct claim *claim);
/* The deadline of a YIELDING claim has passed. */
void revoke_due(struct core *core, struct claim *claim);
/* From yield to revoke, as the holder declared it. */
int64_t revoke_grace_ms(const struct core *core, const struct claim *claim);
