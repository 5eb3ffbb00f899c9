/* on_restore: from the rows of the journal to a core that serves. Rows come in any order; at START
 * they are joined, and everything is detached until its client comes back or its linger ends. */
#include "base/contracts.h"
#include "base/fields.h"
#include "core/all_slots.h"
#include "core/claim.h"
#include "core/drain.h"
#include "core/emit.h"
#include "core/event.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/observe.h"
#include "core/on.h"
#include "core/principal.h"
#include "core/queue.h"
#include "core/resident.h"
#include "core/revoke.h"
#include "core/session.h"
#include "core/timer.h"
#include "core/yield.h"

void on_restore(struct core *core, const struct event *event)
{
	const struct record *record = event->record;

	PRE(!core->started);

	switch (record->type) {
	case RECORD_SESSION_PUT:
		session_restore(core, &record->session);
		break;
	case RECORD_CLAIM_PUT:
		if (record->claim.state != CLAIM_ENDED) {
			struct claim *claim = claim_restore(core, &record->claim);
			claim_explain(claim, record->detail.text);
			list_append(&core->dirty_claims, &claim->in_dirty);
		}
		break;
	case RECORD_PAUSED:
		core->paused = record->admin.paused;
		break;
	case RECORD_SESSION_END:
	case RECORD_CLAIM_END:
	case RECORD_FENCE:
	case RECORD_AUDIT:
		break;
	}
}

/* Drops a row that cannot be honoured, before it enters the queue or the ledger. */
static void drop_row(struct core *core, struct claim *claim, enum end_reason end)
{
	claim->rec.state = CLAIM_ENDED;
	claim->rec.end = end;
	claim->rec.ended_wall = core->wall;

	claim_unindex(core, claim);
	core->stats.ended[end]++;
	trace_claim(core, claim, TRACE_ENDED);

	list_remove(&claim->in_dirty);
	list_append(&core->ended_claims, &claim->in_dirty);
}

static void join_session(struct core *core, struct claim *claim)
{
	char *principal = claim->rec.principal;

	if (claim->rec.session != 0)
		claim->session = session_by_id(core, claim->rec.session);
	if (claim->session)
		list_append(&claim->session->claims, &claim->in_session);

	if (!principal[0])
		principal_name(principal, claim->session ? claim->session->rec.principal : NULL,
			       -1);
	claim->principal = principal_join(core, NULL, principal);
}

static void restore_waiter(struct core *core, struct claim *claim)
{
	uint32_t mask;

	claim_forget_grant(claim); /* it may have been offered */
	mask = observe_eligible(core, &claim->rec.need);
	claim->rec.state = CLAIM_QUEUED;
	claim->rec.lender = 0;

	claim->mask = mask;
	claim->host = claim->rec.host ? claim_by_id(core, claim->rec.host) : NULL;

	if (mask_count(mask) < claim->rec.need.gpu_count || (claim->rec.host && !claim->host)) {
		drop_row(core, claim, END_DENIED);
		return;
	}

	if (claim_proof(claim) == PROOF_CUT) {
		drop_row(core, claim, END_DISCONNECTED);
		return;
	}

	if (claim_proof(claim) == PROOF_TIME)
		claim->place_deadline = mono_after(core->now, core->config.restart_linger_ms);

	queue_insert(core, claim);
	timer_arm_claim(core, claim);
}

/* It may still use what it had, until a sample shows otherwise. */
static void restore_draining(struct core *core, struct claim *claim)
{
	claim_unname(core, claim);
	claim->deadline = MONO_NEVER;

	for (uint32_t gpu = 0; claim->session && gpu < core->config.gpu_count; gpu++)
		if (claim->rec.granted_mask & (1u << gpu))
			ledger_observe(core, claim->session, gpu,
				       claim->session->vram[gpu].observed + claim->vram_charged);
}

static void restore_holder(struct core *core, struct claim *claim)
{
	claim->mask = claim->rec.granted_mask;
	claim->turn_cls = claim->rec.cls;
	claim->key = mono_after(claim->rec.tag, core->config.classes[claim->rec.cls].offset_ms);

	claim->deadline = mono_after(core->now, yield_grace_ms(core, claim));
	if (claim->rec.state == CLAIM_YIELDING)
		claim->deadline =
			mono_max(claim->deadline, mono_after(core->now, claim->rec.grace_ms));
	if (claim->rec.state == CLAIM_LOADING)
		claim->deadline = mono_max(claim->deadline, claim_load_until(core, claim));

	claim->yield_since = core->now;
	claim->offered_since = claim->rec.held_since;

	rank_tree_insert(&core->holders, &claim->place, 0, claim->rec.id);
	all_slots_count(core, claim);
	ledger_take(core, claim);
	session_took_room(claim);
	resident_runs(core, claim);

	if (claim_proof(claim) == PROOF_TIME) {
		struct mono_ms settled = mono_after(core->now, core->config.settle_ms);
		claim->rec.ttl_deadline = mono_max(claim->rec.ttl_deadline, settled);
	}

	if (claim->rec.state == CLAIM_DRAINING)
		restore_draining(core, claim);

	timer_arm_claim(core, claim);
}

/* An offer did not outlive the broker, a hold did. */
static bool row_holds(const struct claim *claim)
{
	return (claim_is_held(claim) || claim_leaves(claim)) && claim->rec.granted_mask != 0 &&
	       (claim->rec.session == 0 || claim->session);
}

/* It continues inside its host, or in its own right. */
static void join_host(struct core *core, struct claim *claim)
{
	uint64_t id = claim->rec.lender ? claim->rec.lender : claim->rec.host;
	struct claim *host = id && row_holds(claim) ? claim_by_id(core, id) : NULL;

	if (!host || !row_holds(host) ||
	    claim_guests(host) >= (host->rec.guests > 0 ? host->rec.guests : 1u)) {
		claim->rec.lender = 0;
		return;
	}

	claim->host = host;
	host_seat(claim);
}

/* It waits for a place inside a claim whose row was dropped. */
static void drop_orphan(struct core *core, struct claim *claim)
{
	struct claim *host = claim->host;

	if (claim->rec.state != CLAIM_QUEUED || !host || host->rec.state != CLAIM_ENDED)
		return;

	queue_remove(core, claim);
	host->house->queue = NULL;
	claim->host = NULL;
	drop_row(core, claim, END_DENIED);
}

/* Revocations in progress resume from the start of their second phase. A stream ended with the old
 * broker; the lock-delay covers what may still run. */
static void go_on_revoking(struct core *core)
{
	struct rank_node *node = rank_tree_first(&core->holders);

	while (node) {
		struct claim *claim = claim_of_place(node);
		uint64_t id = claim->rec.id;

		if (claim->rec.state == CLAIM_DRAINING) {
			drain_settle(core, claim);
		} else if (claim->rec.revoked) {
			claim->rec.revoked = false;
			revoke_begin(core, claim, claim->rec.yield_reason, claim->rec.end_as);
		} else if (claim->rec.host && !claim->host) {
			revoke_begin(core, claim, YIELD_HOST_OVER, END_REVOKED);
		} else if (claim_outlives_broker(claim) && !core->config.observe) {
			yield_await(core, claim);
		} else if (claim_proof(claim) == PROOF_CUT) {
			revoke_begin(core, claim, YIELD_EXPIRED, END_DISCONNECTED);
		}

		node = rank_tree_from(&core->holders, 0, id + 1);
	}
	if (core->config.observe)
		observe_begin(core);
}

static void restore_sessions(struct core *core)
{
	int64_t linger_ms = core->config.restart_linger_ms;

	for (struct rank_node *node = rank_tree_first(&core->sessions); node;
	     node = rank_tree_next(node)) {
		struct session *session = session_of_id(node);
		int64_t ttl_ms = session_ttl_ms(core, session);

		session->last_seen = session->compute_ended = core->now;
		session->place_deadline = mono_after(core->now, linger_ms);
		session->detach_deadline =
			mono_after(core->now, ttl_ms > linger_ms ? ttl_ms : linger_ms);

		timer_arm_session(core, session);
	}
}

/* All programs ended with the previous boot. */
static void end_all_sessions(struct core *core)
{
	struct rank_node *node;

	while ((node = rank_tree_first(&core->sessions)))
		session_end_all(core, session_of_id(node), END_DISCONNECTED, END_DISCONNECTED);
}

/* Calls one function for each restored claim that is still there, in the order of their rows. */
static void each_row(struct core *core, void (*act)(struct core *, struct claim *))
{
	list_each (it, next, &core->dirty_claims) {
		struct claim *claim = container_of(it, struct claim, in_dirty);
		if (claim->rec.state != CLAIM_ENDED)
			act(core, claim);
	}
}

static void place_row(struct core *core, struct claim *claim)
{
	bool waits = claim->rec.state == CLAIM_QUEUED || claim->rec.state == CLAIM_OFFERED;

	if (row_holds(claim))
		restore_holder(core, claim);
	else if (waits && (claim->rec.session == 0 || claim->session))
		restore_waiter(core, claim);
	else
		drop_row(core, claim, END_DISCONNECTED);
}

/* Another boot's clock means nothing here: what remains is each age when the row was written. */
static void carry_ages(const struct core *core, struct claim_record *rec)
{
	const struct fields_how then = {.base = rec->written.v}, here = {.base = core->now.v};
	uint8_t bytes[2048], *end;

	PRE(fields_bytes_max(&claim_record_fields) <= sizeof(bytes));

	if (rec->written.v == 0) /* an older layout, without it */
		return;

	end = fields_write(&claim_record_fields, rec, &then, bytes);
	fields_read(&claim_record_fields, rec, &here, bytes, (size_t)(end - bytes));
}

static void end_row(struct core *core, struct claim *claim)
{
	carry_ages(core, &claim->rec);
	drop_row(core, claim, claim->rec.revoked ? END_REVOKED : END_DISCONNECTED);
}

void on_start(struct core *core, const struct event *event)
{
	PRE(!core->started);
	PRE(core->configured);

	estimate_disturbed(core);
	core->started = core->restarting = core->promise_anew = true;
	core->shares_at = core->now;

	core->epoch = event->start.epoch;
	core->fence_next = event->start.fence_max + 1;
	core->fence_reserved = event->start.fence_max;
	core->claim_id_next = event->start.claim_id_max + 1;
	core->session_id_next = event->start.session_id_max + 1;

	core->next_heartbeat = mono_after(core->now, core->config.heartbeat_ms);
	if (event->start.in_doubt_ms > 0)
		core->in_doubt_until = mono_after(core->now, event->start.in_doubt_ms);

	each_row(core, join_session);

	if (event->start.same_boot) {
		each_row(core, join_host);
		each_row(core, place_row);
		each_row(core, drop_orphan);
		ledger_recap(core, UINT32_MAX);
		restore_sessions(core);
		go_on_revoking(core);
	} else {
		each_row(core, end_row);
		end_all_sessions(core);
	}

	core->restarting = false;
	trace_event(core, TRACE_STARTED, NULL);

	POST(core->fence_next > event->start.fence_max);
}
