/* claim_table: making, finding and freeing claims: the tables by id, token, connection, request and
 * name. It changes no state (claim.c). */
#include <stdlib.h>
#include <string.h>

#include "base/contracts.h"
#include "base/memory.h"
#include "base/token.h"
#include "core/claim.h"
#include "core/emit.h"
#include "core/principal.h"
#include "core/queue.h"
#include "core/state.h"
#include "core/timer.h"

static uint64_t text_hash(uint64_t seed, const char *text)
{
	return hash_bytes(seed, text, strlen(text));
}

static uint64_t request_hash(const struct core *core, const char *name, const char *request_id,
			     uint64_t session_id)
{
	uint64_t seed = core->hash_seed ^ hash_u64(session_id);

	return text_hash(text_hash(seed, name), request_id);
}

static uint64_t token_hash(const struct token *token)
{
	return token_bytes_hash(token->b, sizeof(token->b));
}

void claim_index(struct core *core, struct claim *claim)
{
	struct claim_record *rec = &claim->rec;

	PRE(!claim->indexed);

	hash_add(&core->claims_by_id, &claim->by_id, hash_u64(rec->id));
	hash_add(&core->claims_by_token, &claim->by_token, token_hash(&rec->token));

	if (rec->request_id[0])
		hash_add(&core->claims_by_request, &claim->by_request,
			 request_hash(core, rec->name, rec->request_id, rec->session));
	if (rec->session == 0)
		hash_add(&core->claims_by_owner, &claim->by_owner,
			 text_hash(core->hash_seed, rec->name));
	if (claim->conn != 0)
		hash_add(&core->claims_by_conn, &claim->by_conn, hash_u64(claim->conn));

	core->loads[rec->cls] += rec->loads;
	claim->indexed = true;
}

void claim_unname(struct core *core, struct claim *claim)
{
	struct claim_record *rec = &claim->rec;

	PRE(claim->indexed);

	hash_remove(&core->claims_by_token, &claim->by_token);
	if (rec->request_id[0])
		hash_remove(&core->claims_by_request, &claim->by_request);
	if (rec->session == 0)
		hash_remove(&core->claims_by_owner, &claim->by_owner);
	if (claim->conn != 0)
		hash_remove(&core->claims_by_conn, &claim->by_conn);

	core->loads[rec->cls] -= rec->loads;
	claim->indexed = false;
}

void claim_unindex(struct core *core, struct claim *claim)
{
	if (claim->indexed)
		claim_unname(core, claim);
	hash_remove(&core->claims_by_id, &claim->by_id);
	POST(!claim->indexed);
}

struct claim *claim_alloc(const struct claim_record *rec)
{
	struct claim *claim = check_memory(malloc(sizeof(*claim)));

	PRE(rec->id != 0);

	*claim = (struct claim){0};
	claim->rec = *rec;
	claim->place_deadline = claim->deadline = MONO_NEVER;
	if (rec->fence == 0)
		claim->rec.held_since = claim->rec.turn_since = claim->rec.due_since =
			claim->rec.parked_until = MONO_PAST;
	claim->offered_since = claim->yield_since = claim->users.last = MONO_PAST;

	claim->timer = (struct heap_node){.key = INT64_MAX, .id = rec->id};
	list_init(&claim->in_session);
	list_init(&claim->in_dirty);
	list_init(&claim->in_nested);
	list_init(&claim->in_asked);

	claim->promise = MONO_NEVER;
	return claim;
}

struct claim *claim_create(struct core *core, const struct claim_record *rec,
			   struct session *session, uint64_t conn, uint32_t mask, bool silent)
{
	struct claim *claim = claim_alloc(rec);

	PRE(rec->state == CLAIM_QUEUED);
	PRE(mask != 0);

	claim->host = rec->host ? claim_by_id(core, rec->host) : NULL;
	claim->conn = session ? 0 : conn;
	claim->mask = mask;
	claim->silent = silent;
	claim->session = session;
	claim->principal = principal_join(core, session, rec->principal);
	if (session)
		list_append(&session->claims, &claim->in_session);

	claim_index(core, claim);
	queue_insert(core, claim);
	estimate_wait_began(core, claim);
	if (session)
		timer_arm_session(core, session);
	timer_arm_claim(core, claim);

	if (!silent) {
		trace_claim(core, claim, TRACE_QUEUED);
		claim_dirty(core, claim);
	}

	core->queue_changed = true;
	POST(claim_by_id(core, rec->id) == claim);
	return claim;
}

void claim_announce(struct core *core, struct claim *claim)
{
	PRE(claim->silent);

	claim->silent = false;
	trace_claim(core, claim, TRACE_QUEUED);
	claim_dirty(core, claim);
}

/* State and indexes only: sessions, capacity and places are joined at START. */
struct claim *claim_restore(struct core *core, const struct claim_record *rec)
{
	struct claim *claim = claim_alloc(rec);

	PRE(!core->started);
	PRE(rec->state != CLAIM_ENDED);

	if (claim->rec.end_as == END_NONE)
		claim->rec.end_as = END_REVOKED;
	claim_index(core, claim);
	return claim;
}

void claim_set_token(struct core *core, struct claim *claim, const struct token *token)
{
	PRE(claim->indexed);

	hash_remove(&core->claims_by_token, &claim->by_token);
	claim->rec.token = *token;
	hash_add(&core->claims_by_token, &claim->by_token, token_hash(token));
	claim_dirty(core, claim);
}

void claim_set_conn(struct core *core, struct claim *claim, uint64_t conn)
{
	PRE(claim->session == NULL);
	PRE(claim->indexed);

	if (claim->conn == conn)
		return;

	if (claim->conn != 0)
		hash_remove(&core->claims_by_conn, &claim->by_conn);
	claim->conn = conn;
	if (conn != 0)
		hash_add(&core->claims_by_conn, &claim->by_conn, hash_u64(conn));

	if (claim->rec.state == CLAIM_QUEUED)
		queue_regroup(core, claim);
	timer_arm_claim(core, claim);
}

void claim_free(struct core *core, struct claim *claim)
{
	PRE(!claim->indexed);
	PRE(!claim_has_room(claim));
	PRE(claim->seats == NULL);
	PRE(!claim->house || (claim->house->count == 0 && !claim->house->queue));

	claim->principal = principal_leave(core, claim->principal);
	heap_remove(&core->claim_timers, &claim->timer);
	list_remove(&claim->in_session);
	list_remove(&claim->in_dirty);

	free(claim->house);
	free(claim->detail);
	free(claim);
}

struct claim *claim_by_id(const struct core *core, uint64_t id)
{
	struct hash_node *node = id ? hash_first(&core->claims_by_id, hash_u64(id)) : NULL;

	for (; node; node = hash_next(node)) {
		struct claim *claim = container_of(node, struct claim, by_id);
		if (claim->rec.id == id)
			return claim;
	}
	return NULL;
}

struct claim *claim_by_conn(const struct core *core, uint64_t conn)
{
	struct hash_node *node = hash_first(&core->claims_by_conn, hash_u64(conn));

	for (; node; node = hash_next(node)) {
		struct claim *claim = container_of(node, struct claim, by_conn);
		if (claim->conn == conn)
			return claim;
	}
	return NULL;
}

struct claim *claim_by_token(const struct core *core, const struct token *token)
{
	struct hash_node *node = hash_first(&core->claims_by_token, token_hash(token));

	for (; node; node = hash_next(node)) {
		struct claim *claim = container_of(node, struct claim, by_token);
		if (token_bytes_equal(claim->rec.token.b, token->b, sizeof(token->b)))
			return claim;
	}
	return NULL;
}

struct claim *claim_by_request(const struct core *core, const struct session *session,
			       const struct claim_record *want)
{
	uint64_t session_id = session ? session->rec.id : 0;
	struct hash_node *node =
		hash_first(&core->claims_by_request,
			   request_hash(core, want->name, want->request_id, session_id));

	for (; node; node = hash_next(node)) {
		struct claim *claim = container_of(node, struct claim, by_request);
		if (claim->rec.session == session_id && strcmp(claim->rec.name, want->name) == 0 &&
		    strcmp(claim->rec.principal, want->principal) == 0 &&
		    strcmp(claim->rec.request_id, want->request_id) == 0)
			return claim;
	}
	return NULL;
}

struct claim *claim_by_name(const struct core *core, const char *principal, const char *name,
			    uint32_t *ret_waiting, uint32_t *ret_holding, uint32_t *ret_http_held)
{
	struct hash_node *node =
		hash_first(&core->claims_by_owner, text_hash(core->hash_seed, name));
	uint32_t waiting = 0, holding = 0, http_held = 0;
	struct claim *found = NULL;

	for (; node; node = hash_next(node)) {
		struct claim *claim = container_of(node, struct claim, by_owner);
		if (strcmp(claim->rec.name, name) != 0 ||
		    (principal && strcmp(claim->rec.principal, principal) != 0))
			continue;
		waiting += claim->rec.state == CLAIM_QUEUED;
		holding += claim_has_room(claim);
		if (claim_proof(claim) == PROOF_TIME && claim_has_room(claim)) {
			http_held++;
			found = claim;
		}
	}

	*ret_waiting = waiting;
	*ret_holding = holding;
	*ret_http_held = http_held;
	return found;
}
