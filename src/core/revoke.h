/* revoke: taking a lease back. First the holder is asked and has its grace; then the lease is
 * revoked: its token is refused, and the room becomes free when the holder is known, or must be
 * taken, to have stopped. */
#pragma once
#include "core/state.h"

/* HELD -> YIELDING: please give way, for claim for_id (0: for none). */
void revoke_ask(struct core *core, struct claim *claim, enum yield_reason reason, uint64_t for_id);
/* YIELDING, not revoked: another needs it now than the one for whom it was asked. */
void revoke_pass(struct core *core, struct claim *claim, uint64_t for_id);
/* YIELDING, not revoked -> HELD: nobody needs it any more, and the holder may keep it. */
void revoke_withdraw(struct core *core, struct claim *claim);
/* Any state with room -> revoked, and whoever runs inside its room with it. Ends as end_as, in this
 * step where nothing can still use the GPU. */
void revoke_begin(struct core *core, struct claim *claim, enum yield_reason reason,
		  enum end_reason end_as);
/* The same for a native holder of whom only what it started lives: nobody hears a yield or SIGTERM.
 */
void revoke_kill(struct core *core, struct claim *claim, enum end_reason end_as);
/* Says again, to a holder whose connection is new, what was asked of it. */
void revoke_remind(struct core *core, const struct claim *claim);
/* The deadline of a YIELDING claim came. */
void revoke_due(struct core *core, struct claim *claim);
/* From asking to revoking, as the holder declared it. */
int64_t revoke_grace_ms(const struct core *core, const struct claim *claim);
