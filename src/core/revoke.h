/* revoke: taking a lease back, after its holder was asked (yield.h) or at once: its token is
 * refused, and the capacity becomes free once the holder is known or presumed to have stopped. */
#pragma once
#include "core/types.h"

struct claim;
struct core;

/* Any state that holds capacity -> revoked, with its guests. It ends as end_as: in this step if
 * nothing can still use the GPU. */
void revoke_begin(struct core *core, struct claim *claim, enum yield_reason reason,
		  enum end_reason end_as);
/* The same for a native holder whose peer is gone but whose children live: straight to SIGKILL. */
void revoke_kill(struct core *core, struct claim *claim, enum end_reason end_as);
/* The deadline of a YIELDING claim has passed. */
void revoke_due(struct core *core, struct claim *claim);
