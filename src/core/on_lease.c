/* on_lease: what a client says about its claim: accept, cancel, release, renew, yielding, and the
 * end of its connection. */
#include "base/contracts.h"
#include "base/err.h"
#include "core/claim.h"
#include "core/emit.h"
#include "core/event.h"
#include "core/lost_waiters.h"
#include "core/on.h"
#include "core/owner.h"
#include "core/park.h"
#include "core/queue.h"
#include "core/revoke.h"
#include "core/schedule.h"
#include "core/session.h"
#include "core/timer.h"

void on_accept(struct core *core, const struct event *event)
{
	struct claim *claim = owner_claim(core, event->from.id, event->lease);

	if (!claim || claim->rec.state == CLAIM_QUEUED) {
		emit_denied(core, event->from, 0, event->lease, ERR_STALE, NULL);
	} else if (claim->rec.revoked) {
		emit_denied(core, event->from, claim->rec.ref, event->lease, ERR_REVOKED, NULL);
	} else if (claim->rec.state == CLAIM_OFFERED) {
		schedule_hold(core, claim);
		if (claim->rec.resumes)
			park_end(core, claim);
	} else {
		emit_standing(core, claim); /* its first answer was lost */
	}
}

static bool is_waiting(const struct claim *claim)
{
	return claim->rec.state == CLAIM_QUEUED || claim->rec.state == CLAIM_OFFERED;
}

static void give_up(struct core *core, struct claim *claim, bool keep)
{
	enum end_reason end = claim->rec.revoked ? claim->rec.end_as : END_RELEASED;

	if (keep)
		lost_waiter_keep(core, claim);
	claim_end(core, claim, is_waiting(claim) ? END_CANCELLED : end);
}

void on_cancel(struct core *core, const struct event *event)
{
	uint64_t ref = event->cancel.ref;
	struct session *session = session_by_conn(core, event->from.id);

	if (session)
		list_each (it, next, &session->claims) {
			struct claim *claim = container_of(it, struct claim, in_session);
			if (claim->rec.ref != ref || claim_over(claim))
				continue;
			if (!is_waiting(claim) && !event->cancel.keep) {
				emit_denied(core, event->from, ref, claim->rec.id, ERR_STATE, NULL);
				return;
			}
			give_up(core, claim, event->cancel.keep);
			emit_claim(core, claim, SEND_RELEASED);
			return;
		}
	emit_denied(core, event->from, ref, 0, ERR_STALE, NULL);
}

/* Nothing else remembers its earlier turns. */
static void note_turn(const struct core *core, struct claim *claim)
{
	struct claim_record *rec = &claim->rec;

	PRE(claim_has_room(claim));
	rec->turns_ms += ms_longer(rec->used_ms, claim_turn_ms(core, claim));
	if (rec->first_wall.v == 0)
		rec->first_wall = rec->arrival_wall;
	POST(rec->turns_ms >= 0);
}

/* Requeues the claim, to wait as long as it first said. It keeps its place if its turn was cut
 * short for a claim that goes first. After a full turn it counts as a new arrival: otherwise it
 * would overtake the waiters, and the claim that it made way for. */
static void come_back(struct core *core, struct claim *claim, const struct event *event)
{
	bool cut_short =
		claim->rec.state == CLAIM_YIELDING && claim->rec.yield_reason == YIELD_PREEMPTED;

	if (claim_is_held(claim)) {
		claim->deadline = MONO_NEVER;
		claim->yield_since = core->now;
		claim_move(core, claim, CLAIM_YIELDING);
	}

	if (claim->rec.loading)
		claim_loaded(core, claim);
	if (cut_short && claim->rec.need.slots > 0) {
		claim->rec.used_ms = claim_turn_ms(core, claim);
	} else if (!cut_short) {
		note_turn(core, claim);
		claim->rec.used_ms = claim->rec.loaded_ms = 0;
		claim->rec.arrival = core->now;
		claim->rec.tag = queue_behind(core, claim->rec.cls, claim->yield_for);
		claim->rec.arrival_wall = core->wall;
	}

	claim->rec.wait_deadline = claim->rec.timeout_ms < 0
					   ? MONO_NEVER
					   : mono_after(core->now, claim->rec.timeout_ms);
	claim->rec.ttl_deadline = MONO_NEVER;
	claim->rec.moved = event->release.moved;
	if (claim->made_room_on == 0)
		claim->made_room_on = claim->rec.granted_mask;

	claim->yield_for = 0;
	claim->rec.acks_missed = 0;
	claim_set_token(core, claim, &event->random);

	emit_at(core, event->from, claim, SEND_RELEASED);
	claim_move(core, claim, CLAIM_QUEUED);
	emit_standing(core, claim);
}

static void release_claim(struct core *core, const struct event *event, struct claim *claim)
{
	bool plain = claim->session == NULL;
	bool revoked = claim->rec.revoked;

	if (event->release.requeue && !is_waiting(claim) && !revoked &&
	    binding_of(claim->rec.binding)->requeue && claim_conn(claim) != 0) {
		/* It cannot give its capacity away while guests run in it. */
		if (claim->rec.guests > 0 && claim_guests(claim) > 0)
			emit_denied(core, event->from, claim->rec.ref, claim->rec.id, ERR_STATE,
				    "guests");
		else
			come_back(core, claim, event);
		return;
	}

	claim_explain(claim, event->release.detail);
	give_up(core, claim, event->release.keep);
	/* A late release frees the capacity, but the holder must learn that it was too late. */
	if (plain && revoked)
		emit_denied(core, event->from, claim->rec.ref, claim->rec.id, ERR_REVOKED, NULL);
	else
		emit_last(core, event->from, claim, SEND_RELEASED);

	if ((claim->session || claim_proof(claim) == PROOF_CUT) &&
	    claim_conn(claim) != event->from.id)
		emit_claim(core, claim, SEND_RELEASED);
}

void on_release(struct core *core, const struct event *event)
{
	struct claim *claim = NULL;
	uint32_t waiting, holding, http_held;

	if (event->release.lease)
		claim = owner_claim(core, event->from.id, event->release.lease);
	else if (event->release.token)
		claim = owner_unlocked(core, event->release.token);
	else if (event->release.id) {
		claim = claim_by_name(core, NULL, event->release.id, &waiting, &holding,
				      &http_held);
		claim = http_held == 1 ? claim : NULL;
	}

	if (claim)
		release_claim(core, event, claim);
	else
		emit_denied(core, event->from, 0, event->release.lease, ERR_STALE, NULL);
}

static struct claim *renewed_claim(const struct core *core, const struct event *event)
{
	if (event->renew.lease)
		return owner_claim(core, event->from.id, event->renew.lease);
	return event->renew.token ? owner_plain(core, event->renew.token) : NULL;
}

/* How long the lease is good: never longer than the grace once a yield is pending. A plain holder
 * learns of the yield only from this answer. */
static void tell_renewed(struct core *core, const struct event *event, const struct claim *claim,
			 int64_t good_ms)
{
	struct send_effect *send = emit_at(core, event->from, claim, SEND_RENEWED);

	if (claim->rec.state == CLAIM_YIELDING) {
		int64_t left_ms = mono_since(claim->deadline, core->now);
		good_ms = left_ms < good_ms ? left_ms : good_ms;
		send->flag = true;
		send->reason = claim->rec.yield_reason;
	}

	send->expires_ms = good_ms > 0 ? good_ms : 0;
}

/* Loading is done: its turn begins as far as limits are concerned. Idempotent. */
static void begin_turn(struct core *core, struct claim *claim)
{
	if (!claim->rec.loading)
		return;

	claim_loaded(core, claim);
	if (claim->rec.state == CLAIM_LOADING)
		claim_move(core, claim, CLAIM_HELD);
}

void on_renew(struct core *core, const struct event *event)
{
	struct claim *claim = renewed_claim(core, event);
	int64_t good_ms = core->config.session_ttl_ms;

	if (!claim || claim->rec.state == CLAIM_QUEUED || claim->rec.state == CLAIM_OFFERED) {
		emit_denied(core, event->from, 0, event->renew.lease, ERR_STALE, NULL);
		return;
	}

	if (claim->rec.revoked) {
		emit_denied(core, event->from, claim->rec.ref, claim->rec.id, ERR_REVOKED, NULL);
		return;
	}

	/* An extension that is not journaled would be lost with the broker. */
	if (core->unwritable && claim_proof(claim) == PROOF_TIME) {
		emit_denied(core, event->from, claim->rec.ref, claim->rec.id, ERR_JOURNAL, NULL);
		return;
	}

	if (claim_proof(claim) == PROOF_TIME) {
		if (event->renew.ttl_ms > 0)
			claim->rec.ttl_ms = event->renew.ttl_ms < core->config.http_ttl_ms_max
						    ? event->renew.ttl_ms
						    : core->config.http_ttl_ms_max;
		claim->rec.ttl_deadline = mono_after(core->now, claim->rec.ttl_ms);
		good_ms = claim->rec.ttl_ms;
		timer_arm_claim(core, claim);
		claim_dirty(core, claim);
	}

	if (event->type == EVENT_READY)
		begin_turn(core, claim);
	tell_renewed(core, event, claim, good_ms);
}

/* The grace is what was declared in the request, whatever is asked for now: the bounds given to
 * others rely on it. */
void on_yielding(struct core *core, const struct event *event)
{
	struct claim *claim = renewed_claim(core, event);

	if (!claim) {
		emit_denied(core, event->from, 0, event->renew.lease, ERR_STALE, NULL);
	} else if (claim->rec.revoked) {
		emit_denied(core, event->from, claim->rec.ref, claim->rec.id, ERR_REVOKED, NULL);
	} else if (claim->rec.state != CLAIM_YIELDING) {
		emit_denied(core, event->from, claim->rec.ref, claim->rec.id, ERR_STATE, NULL);
	} else {
		tell_renewed(core, event, claim, core->config.grace_ms_max);
	}
}

static void plain_closed(struct core *core, struct claim *claim, bool undelivered)
{
	bool stream = claim_proof(claim) == PROOF_CUT;

	claim_set_conn(core, claim, 0);

	if (claim->rec.state == CLAIM_QUEUED) {
		lost_waiter_keep(core, claim);
		claim_end(core, claim, END_DISCONNECTED);
	} else if (claim->rec.revoked) {
		if (stream && !claim->rec.browser)
			claim_end(core, claim, claim->rec.end_as);
	} else if (stream && claim->rec.browser) {
		revoke_begin(core, claim, YIELD_EXPIRED, END_DISCONNECTED);
	} else if (stream || undelivered) {
		claim_end(core, claim, END_DISCONNECTED);
	}
}

void on_conn_closed(struct core *core, const struct event *event)
{
	struct session *session = session_by_conn(core, event->from.id);
	struct claim *claim = session ? NULL : claim_by_conn(core, event->from.id);

	if (session)
		session_detach(core, session, event->closed.peer_gone);
	else if (claim && event->from.id != 0)
		plain_closed(core, claim, event->closed.undelivered);
}
