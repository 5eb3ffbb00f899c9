/* claim: the life of one request for GPU. claim_move is the one function that changes a state; it
 * checks the table and keeps queue, ledger, deadlines and traces in step with it.
 *
 *   create -> QUEUED -> OFFERED -> HELD <-> YIELDING -> ENDED -> freed at the end of the step
 *               .          |--> LOADING (until what it loads is ready; else like HELD)
 *               ^ |        |  \     \________________^  ^
 *               | |________|___\________________________|   ended while it waits, or declined
 *               |__________|      \
 *               |   ack missed     \__ released
 *               |______________ gave way and comes back (from YIELDING)
 */
#pragma once
#include "base/mono.h"
#include "core/types.h"

struct claim;
struct claim_record;
struct core;
struct session;
struct token;

/* from, name, the states it may move to */
#define CLAIM_MOVES(X)                                                                             \
	X(CLAIM_QUEUED, TO(CLAIM_OFFERED) | TO(CLAIM_ENDED))                                       \
	X(CLAIM_OFFERED, TO(CLAIM_LOADING) | TO(CLAIM_HELD) | TO(CLAIM_QUEUED) | TO(CLAIM_ENDED))  \
	X(CLAIM_LOADING,                                                                           \
	  TO(CLAIM_HELD) | TO(CLAIM_YIELDING) | TO(CLAIM_DRAINING) | TO(CLAIM_ENDED))              \
	X(CLAIM_HELD, TO(CLAIM_YIELDING) | TO(CLAIM_DRAINING) | TO(CLAIM_ENDED))                   \
	X(CLAIM_YIELDING, TO(CLAIM_LOADING) | TO(CLAIM_HELD) | TO(CLAIM_DRAINING) |                \
				  TO(CLAIM_QUEUED) | TO(CLAIM_ENDED))                              \
	X(CLAIM_DRAINING, TO(CLAIM_ENDED))                                                         \
	X(CLAIM_ENDED, 0)

/* Takes a filled record (by copy) and gives it a place in the queue. Silent: neither announced nor
 * journaled until claim_announce. */
struct claim *claim_create(struct core *core, const struct claim_record *rec,
			   struct session *session, uint64_t conn, uint32_t mask, bool silent);
void claim_announce(struct core *core, struct claim *claim);
/* A row of the journal, put back as it was; only before START. */
struct claim *claim_restore(struct core *core, const struct claim_record *rec);

/* Of a row that waits again: it needs what it asked for, a parked one its turn, too. */
void claim_forget_grant(struct claim *claim);

void claim_move(struct core *core, struct claim *claim, enum claim_state to);
void claim_end(struct core *core, struct claim *claim, enum end_reason end);
/* How its work ended, as its client says; before claim_end. NULL: nothing. */
void claim_explain(struct claim *claim, const char *detail);
/* A silent claim leaves as if it had never come. */
void claim_vanish(struct core *core, struct claim *claim);
/* LOADING: until then it must be ready, earlier tries in the same turn counted. */
struct mono_ms claim_load_until(const struct core *core, const struct claim *claim);
/* The time of loading of its present run is over, ready or not. */
void claim_loaded(struct core *core, struct claim *claim);
/* A holder's slots and memory change in place; that they fit was judged. */
void claim_change_need(struct core *core, struct claim *claim, const struct need *need);
void claim_set_token(struct core *core, struct claim *claim, const struct token *token);
/* Its record goes to the journal at the end of the step. */
void claim_dirty(struct core *core, struct claim *claim);
void claim_set_conn(struct core *core, struct claim *claim, uint64_t conn); /* plain claims */
struct claim *claim_alloc(const struct claim_record *rec); /* not indexed, without a place */
void claim_index(struct core *core, struct claim *claim);
void claim_unindex(struct core *core, struct claim *claim); /* it ended: found no more */
void claim_unname(struct core *core, struct claim *claim);  /* it drains: found by its id alone */
void claim_free(struct core *core, struct claim *claim);

/* Some process of it can be signalled, and its capacity is free once that is gone. */
bool claim_stoppable(const struct claim *claim);

struct claim *claim_by_id(const struct core *core, uint64_t id); /* NULL: none that lives */
struct claim *claim_by_conn(const struct core *core, uint64_t conn);
struct claim *claim_by_token(const struct core *core, const struct token *token);
/* Of this session, or of this principal and name. */
struct claim *claim_by_request(const struct core *core, const struct session *session,
			       const struct claim_record *want);
/* Of plain claims with this name, of one principal or of any (NULL): how many wait, how many have
 * room, and the last of BIND_HTTP that is held. */
struct claim *claim_by_name(const struct core *core, const char *principal, const char *name,
			    uint32_t *ret_waiting, uint32_t *ret_holding, uint32_t *ret_http_held);
