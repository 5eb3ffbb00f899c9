/* session: opening, resuming and finding, and what a session counts of its claims. It decides about
 * no claim on its merits. */
#include "core/session.h"

#include <stdlib.h>

#include "base/contracts.h"
#include "base/err.h"
#include "base/memory.h"
#include "base/token.h"
#include "core/claim.h"
#include "core/effect.h"
#include "core/emit.h"
#include "core/event.h"
#include "core/ledger.h"
#include "core/principal.h"
#include "core/queue.h"
#include "core/timer.h"
#include "core/wait_bound.h"
#include "core/yield.h"

static uint64_t secret_hash(const struct token *secret)
{
	return token_bytes_hash(secret->b, sizeof(secret->b));
}

struct session *session_by_conn(const struct core *core, uint64_t conn)
{
	struct hash_node *node = hash_first(&core->sessions_by_conn, hash_u64(conn));

	for (; node && conn != 0; node = hash_next(node)) {
		struct session *session = container_of(node, struct session, by_conn);
		if (session->conn == conn)
			return session;
	}
	return NULL;
}

struct session *session_by_id(const struct core *core, uint64_t id)
{
	struct rank_node *node = rank_tree_from(&core->sessions, 0, id);

	return node && node->id == id ? session_of_id(node) : NULL;
}

struct session *session_by_secret(const struct core *core, const struct token *secret)
{
	struct hash_node *node = hash_first(&core->sessions_by_secret, secret_hash(secret));

	for (; node; node = hash_next(node)) {
		struct session *session = container_of(node, struct session, by_secret);
		if (token_bytes_equal(session->rec.secret.b, secret->b, sizeof(secret->b)))
			return session;
	}
	return NULL;
}

void session_dirty(struct core *core, struct session *session)
{
	if (list_empty(&session->in_dirty))
		list_append(&core->dirty_sessions, &session->in_dirty);
}

/* Until the server reports more. */
static void assume_reach(struct session *session)
{
	bool seen = !session_has_process(session) || session->rec.pid > 0;

	session->reach = seen ? PEER_REACHED : PEER_UNKNOWN;
	text_copy(session->unwatched, sizeof(session->unwatched), seen ? NULL : "no process id");
}

struct session *session_alloc(const struct session_record *rec)
{
	struct session *session = check_memory(calloc(1, sizeof(*session)));

	session->rec = *rec;
	list_init(&session->claims);
	list_init(&session->in_dirty);

	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
		session->vram[gpu].dropped = MONO_PAST;
	return session;
}

void session_index(struct core *core, struct session *session)
{
	PRE(session->rec.id != 0);
	PRE(binding_of(session->rec.binding)->party == PARTY_SESSION);

	session->timer = (struct heap_node){.key = INT64_MAX, .id = session->rec.id};
	rank_tree_insert(&core->sessions, &session->by_id, 0, session->rec.id);

	hash_add(&core->sessions_by_secret, &session->by_secret, secret_hash(&session->rec.secret));
	if (session->conn != 0)
		hash_add(&core->sessions_by_conn, &session->by_conn, hash_u64(session->conn));

	session->principal = principal_join(core, NULL, session->rec.principal);
}

static struct session *session_create(struct core *core, const struct session_record *rec)
{
	struct session *session = session_alloc(rec);

	principal_name(session->rec.principal, rec->principal, rec->uid);
	session->last_seen = core->now;
	session->compute_ended = core->now;
	session->place_deadline = session->detach_deadline = MONO_NEVER;

	assume_reach(session);
	session_index(core, session);

	/* Without sessions no heartbeats were sent, so the next one lies in the past. */
	if (rank_tree_count(&core->sessions) == 1)
		core->next_heartbeat = mono_after(core->now, core->config.heartbeat_ms);
	return session;
}

void session_restore(struct core *core, const struct session_record *rec)
{
	PRE(!core->started);
	PRE(session_by_id(core, rec->id) == NULL);
	session_create(core, rec);
}

/* Its waiting claims change groups: only attached sessions are offered anything. */
void session_set_conn(struct core *core, struct session *session, uint64_t conn)
{
	PRE(session->conn != conn);

	if (session->conn != 0)
		hash_remove(&core->sessions_by_conn, &session->by_conn);
	session->conn = conn;
	if (conn != 0)
		hash_add(&core->sessions_by_conn, &session->by_conn, hash_u64(conn));

	list_each (it, next, &session->claims) {
		struct claim *claim = container_of(it, struct claim, in_session);
		if (claim->rec.state != CLAIM_QUEUED)
			continue;

		queue_regroup(core, claim);
		wait_bound_promise(core, claim);
		core->work++;
	}

	core->queue_changed = true;
}

static void send_welcome(struct core *core, struct session *session, bool resumed)
{
	struct send_effect *send = emit(core, session_party(session), SEND_WELCOME);

	session->rec.ttl_ms = core->config.session_ttl_ms;
	send->lease = session->rec.id;
	send->token = session->rec.secret;
	send->flag = resumed;

	list_each (it, next, &session->claims) {
		const struct claim *claim = container_of(it, struct claim, in_session);
		if (claim_over(claim))
			continue;

		send = emit_claim(core, claim, SEND_CLAIM);
		if (claim_is_held(claim) || claim->rec.state == CLAIM_YIELDING)
			send->token = claim->rec.token;
		if (claim->rec.state == CLAIM_YIELDING)
			yield_remind(core, claim);
	}
}

static void attach_conn(struct core *core, struct session *session, uint64_t conn, bool resumed)
{
	session_set_conn(core, session, conn);
	session_dirty(core, session);
	trace_session(core, session, TRACE_ATTACHED);
	timer_arm_session(core, session);
	send_welcome(core, session, resumed);
}

static void resume_session(struct core *core, const struct event *event, struct session *session)
{
	if (!session) {
		emit_denied(core, event->from, 0, 0, ERR_STALE, "session");
		return;
	}

	if (session->rec.binding != event->session.binding ||
	    session->rec.uid != event->session.uid) {
		emit_denied(core, event->from, 0, 0, ERR_FORBIDDEN, "session");
		return;
	}

	if (session->conn != 0)
		effects_add(&core->out, EFFECT_CLOSE)->to = session_party(session);

	session->rec.pid = event->session.pid;
	session->rec.pid_start = event->session.pid_start;
	session->peer_gone = false;
	assume_reach(session);

	session->last_seen = core->now;
	session->place_deadline = session->detach_deadline = MONO_NEVER;
	attach_conn(core, session, event->from.id, true);
}

void session_open(struct core *core, const struct event *event)
{
	struct session_record rec = {
		.id = core->session_id_next,
		.secret = event->random,
		.binding = event->session.binding,
		.pid = event->session.pid,
		.pid_start = event->session.pid_start,
		.uid = event->session.uid,
	};
	struct session *session;

	if (binding_of(rec.binding)->party != PARTY_SESSION || event->from.id == 0 ||
	    session_by_conn(core, event->from.id) || claim_by_conn(core, event->from.id)) {
		emit_denied(core, event->from, 0, 0, ERR_STATE, "session");
		return;
	}

	if (event->session.resume) {
		session = session_by_secret(core, event->session.resume);
		if (session && session->ended)
			session = NULL;
		if (session || !event->session.or_new) {
			resume_session(core, event, session);
			return;
		}
	}

	if (core->unwritable) {
		emit_denied(core, event->from, 0, 0, ERR_JOURNAL, NULL);
		return;
	}
	if (!event->session.name || !event->session.name[0]) {
		emit_denied(core, event->from, 0, 0, ERR_BAD_FIELD, "name");
		return;
	}

	text_copy(rec.name, sizeof(rec.name), event->session.name);
	text_copy(rec.principal, sizeof(rec.principal), event->session.principal);
	core->session_id_next++;

	session = session_create(core, &rec);
	attach_conn(core, session, event->from.id, false);
}

void session_seen(struct core *core, struct session *session)
{
	PRE(session->conn != 0);
	session->last_seen = core->now;
}

int64_t session_ttl_ms(const struct core *core, const struct session *session)
{
	int64_t ttl_ms = core->config.session_ttl_ms;

	return session->rec.ttl_ms > ttl_ms ? session->rec.ttl_ms : ttl_ms;
}

bool session_silent(const struct core *core, const struct session *session)
{
	int64_t ttl_ms = session_ttl_ms(core, session);

	return session->conn != 0 && mono_due(mono_after(session->last_seen, ttl_ms), core->now);
}

void session_peer_reach(struct core *core, const struct event *event)
{
	struct session *session = session_by_id(core, event->peer.session);

	if (!session || !session_has_process(session))
		return;

	session->reach = event->peer.reach;
	text_copy(session->unwatched, sizeof(session->unwatched),
		  event->peer.reach == PEER_UNKNOWN ? event->peer.why : NULL);

	if (event->peer.reach == PEER_UNKNOWN)
		text_copy(trace_session(core, session, TRACE_UNWATCHED)->detail,
			  LIMIT_REASON_BYTES + 1, session->unwatched);

	core->queue_changed = true;
}

void session_processes(struct core *core, const struct event *event)
{
	struct session *session = session_by_conn(core, event->from.id);
	const struct named_processes *named = event->processes;

	PRE(named->count <= LIMIT_PROCESSES);

	if (!session) {
		emit_denied(core, event->from, 0, 0, ERR_STATE, "session");
		return;
	}

	if (!session_has_process(session)) {
		emit_denied(core, event->from, 0, 0, ERR_PROTOCOL, "only over the Unix socket");
		return;
	}

	session->rec.named = *named;
	session_dirty(core, session);
	emit(core, event->from, SEND_OK)->lease = named->count;
}

void session_took_room(struct claim *claim)
{
	principal_holds(claim);
	if (!claim->session)
		return;

	claim->session->holding++;
	claim->session->computing += claim_computes(claim);
}

void session_gave_turn(struct core *core, const struct claim *claim)
{
	struct session *session = claim->session;

	if (!session || claim->rec.need.slots == 0)
		return;
	INVARIANT(session->computing > 0);
	session->computing--;
	session->compute_ended = core->now;
}

void session_gave_room(struct claim *claim)
{
	principal_holds_no_more(claim);
	if (!claim->session)
		return;
	INVARIANT(claim->session->holding > 0);
	claim->session->holding--;
}

void session_claim_ended(struct core *core, struct session *session)
{
	if (!session->ended || session->waiting + session->holding > 0 || session->by_id.count == 0)
		return;

	rank_tree_remove(&core->sessions, &session->by_id);
	hash_remove(&core->sessions_by_secret, &session->by_secret);
	heap_remove(&core->session_timers, &session->timer);

	ledger_forget(core, session);
	core->queue_changed = true;

	list_remove(&session->in_dirty);
	list_append(&core->ended_sessions, &session->in_dirty);
}

void session_free(struct core *core, struct session *session)
{
	PRE(list_empty(&session->claims));
	PRE(session->by_id.count == 0);

	session->principal = principal_leave(core, session->principal);
	if (session->conn != 0)
		hash_remove(&core->sessions_by_conn, &session->by_conn);

	list_remove(&session->in_dirty);
	free(session);
}
