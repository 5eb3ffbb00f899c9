/* claim: the life of a claim from request to end. */
#pragma once
#include <baton/baton.h>

#include "base/mono.h"

struct baton;
struct baton_claim;

struct baton_claim *client_claim_by_ref(struct baton *baton, uint64_t ref);
struct baton_claim *client_claim_by_id(struct baton *baton, uint64_t id);

void client_claim_send_acquire(struct baton_claim *claim, struct mono_ms now);
/* Ends it, with its lease; queues `revoked` first if it was held. */
void client_claim_end(struct baton_claim *claim, int code, const char *reason);
/* The turn that it waited for is its lease's again. */
void client_claim_resumed(struct baton_claim *claim);
/* Ends the lease; `due` is when others may use the GPU. Release is sent once the work has
 * stopped. */
void client_claim_revoke(struct baton_claim *claim, int code, const char *reason,
			 struct mono_ms due);
/* After the `revoked` handler has run: gives the lease back and ends the claim, unless the work
 * stops later. */
void client_claim_revoked_told(struct baton_claim *claim);

/* Remembers a request about a lease that awaits its answer. */
void client_claim_ask(struct baton_claim *claim, enum baton_question question);
/* Takes the oldest unanswered question of this kind (0: any); 0 if there is none. */
int client_claim_answered(struct baton_claim *claim, int question);

/* Handles expired deadlines. Returns the next one. */
struct mono_ms client_claim_tick(struct baton_claim *claim, struct mono_ms now);
/* Frees the claims whose owners have freed them. */
void client_claims_sweep(struct baton *baton);
