/* check_sent: judges each message in the moment in which it leaves: after its record (I8), in a
 * state that allows it (I7), with a fence higher than all before (I2) and a token of its own. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "check_private.h"
#include "world.h"

typedef unsigned long long ull;

static const char *message_name(enum send_kind msg)
{
	static const char *const names[SEND_COUNT] = {"welcome",  "claim",   "queued",    "offered",
						      "granted",  "yield",   "keep",      "revoked",
						      "released", "timeout", "denied",    "renewed",
						      "changed",  "lent",    "heartbeat", "ok"};
	return names[msg];
}

static struct want *subject(struct world *w, const struct conn *conn, const struct effect *fx)
{
	if (conn->want)
		return want_of(w, conn->want);
	struct want *want = want_of(w, fx->send.ref);
	if (!want)
		want = want_of_lease(w, fx->send.lease);
	return want && want->client == conn->client ? want : NULL;
}

static uint64_t number_of(const uint8_t *bytes)
{
	uint64_t number;
	memcpy(&number, bytes, sizeof number);
	return number;
}

static void grow_tokens(struct check *check)
{
	struct check_token *old = check->tokens;
	uint64_t old_size = check->tokens_size;
	check->tokens_size = old_size ? old_size * 2 : 256;
	check->tokens = calloc(check->tokens_size, sizeof *check->tokens);
	if (!check->tokens)
		abort();
	for (uint64_t i = 0; i < old_size; i++) {
		if (old[i].claim == 0)
			continue;
		uint64_t at = old[i].lo & (check->tokens_size - 1);
		while (check->tokens[at].claim != 0)
			at = (at + 1) & (check->tokens_size - 1);
		check->tokens[at] = old[i];
	}
	free(old);
}

/* One token names one grant of one want, for ever. */
static void check_token(struct world *w, const struct want *want, const struct effect *fx)
{
	struct check *check = &w->check;
	if (check->token_count * 2 >= check->tokens_size)
		grow_tokens(check);
	struct check_token token = {.hi = number_of(fx->send.token.b),
				    .lo = number_of(fx->send.token.b + 8),
				    .claim = want->uid,
				    .fence = fx->send.fence};
	if (token.hi == 0 && token.lo == 0)
		sim_fail(w, "want %llu was granted without a token", (ull)want->uid);
	uint64_t at = token.lo & (check->tokens_size - 1);
	for (; check->tokens[at].claim != 0; at = (at + 1) & (check->tokens_size - 1)) {
		const struct check_token *seen = &check->tokens[at];
		if (seen->hi != token.hi || seen->lo != token.lo)
			continue;
		if (seen->claim != token.claim || seen->fence != token.fence)
			sim_fail(w,
				 "the token of want %llu fence %llu comes again for want %llu "
				 "fence %llu",
				 (ull)seen->claim, (ull)seen->fence, (ull)token.claim,
				 (ull)token.fence);
		return;
	}
	check->tokens[at] = token;
	check->token_count++;
}

/* A fence that is told was reserved on disk. That it rises is checked in the order of the records,
 * since a message can be late (check.c). */
static void check_fence(struct world *w, struct want *want, const struct effect *fx)
{
	uint64_t fence = fx->send.fence;
	if (fence > w->journal.fence_max)
		sim_fail(w, "I2: fence %llu is not reserved, only up to %llu", (ull)fence,
			 (ull)w->journal.fence_max);
	want->said_fence = fence;
}

static const struct journal_claim *row_of(struct world *w, const struct effect *fx)
{
	const struct journal_claim *row = journal_claim(&w->journal, fx->send.lease);
	if (!row)
		sim_fail(w, "I8: %s names claim %llu, which is not in the journal",
			 message_name(fx->send.msg), (ull)fx->send.lease);
	return row;
}

static void sent_queued(struct world *w, struct want *want, const struct effect *fx)
{
	row_of(w, fx);
	if (want->said == WANT_OVER)
		sim_fail(w, "I7: want %llu was told %s and is queued again", (ull)want->uid,
			 message_name(want->said_last));
	want->said = WANT_WAITING;
}

static void sent_offered(struct world *w, struct want *want, const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	if (want->said == WANT_OVER)
		sim_fail(w, "I7: want %llu was told %s and is offered a GPU", (ull)want->uid,
			 message_name(want->said_last));
	if (row->live && row->rec.fence < fx->send.fence)
		sim_fail(w, "I8: fence %llu of want %llu is not in the journal",
			 (ull)fx->send.fence, (ull)want->uid);
	check_fence(w, want, fx);
	want->said = WANT_OFFERED;
}

/* The turn of a parked lease came back: its claim is over, the lease computes again. */
static void sent_resumed(struct world *w, const struct want *turn, const struct conn *conn)
{
	const struct journal_claim *row = journal_claim(&w->journal, turn->resumes);
	struct want *lease = want_of_lease(w, turn->resumes);
	if (!lease || !row || !row->live || row->rec.parked_slots > 0 || row->rec.revoked)
		return; /* taken back in the same turn */
	lease->need = row->rec.need;
	check_room(w, lease, row->rec.granted_mask);
	if (lease->uses && conn->client_open)
		lease->uses_need.slots = lease->need.slots;
}

static void sent_granted(struct world *w, struct want *want, const struct conn *conn,
			 const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	if (want->said == WANT_OVER)
		sim_fail(w, "I7: want %llu was told %s and is granted a GPU", (ull)want->uid,
			 message_name(want->said_last));
	if (want->resumes != 0 && !row->live && row->rec.fence == fx->send.fence) {
		check_fence(w, want, fx);
		want->said = WANT_HELD;
		sent_resumed(w, want, conn);
		return;
	}
	if (row->held_fence != fx->send.fence)
		sim_fail(w, "I8: want %llu is granted with fence %llu, the journal has %llu",
			 (ull)want->uid, (ull)fx->send.fence, (ull)row->held_fence);
	bool again = want->said == WANT_HELD && want->said_fence == fx->send.fence;
	if (want->changed || want->was_parked)
		want->need = row->rec.need;
	check_fence(w, want, fx);
	check_token(w, want, fx);
	want->said = WANT_HELD;
	/* If it was taken back in the same turn, the message is stale already but harms nobody. */
	if (again || !row->live || row->rec.revoked || row->rec.fence != fx->send.fence)
		return;
	/* A new claim; what its server still had by the old one was given away by then. */
	if (want_is_model(want) && want->fence != fx->send.fence)
		want_stop(w, want);
	want->excused_t = INT64_MAX;
	check_room(w, want, fx->send.gpus);
	if (conn->client_open && want->stage != WANT_OVER) /* else nobody reads it, or wants it */
		want_use(w, want, fx->send.gpus);
}

static void sent_end(struct world *w, struct want *want, const struct conn *conn,
		     const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	/* A stall is no waiting; a crash may forget one that was not committed. */
	int64_t waited_ms = w->t - want->asked_t;
	if (want->asked_t >= w->check.started_t)
		waited_ms -= w->stalled_ms - want->asked_stalled_ms;
	if (fx->send.end == END_NONE && want->yielded)
		return; /* gave way and comes back: QUEUED says the rest */
	if (row->live && row->rec.state != CLAIM_DRAINING)
		sim_fail(w, "I8: want %llu is told %s, but the journal has it as %s",
			 (ull)want->uid, message_name(fx->send.msg),
			 claim_state_name((int)row->rec.state));
	if (fx->send.msg == SEND_TIMEOUT && want->timeout_ms >= 0 && !want->yielded &&
	    !want->retried && want->asked_t >= 0 && waited_ms < want->timeout_ms)
		sim_fail(w, "want %llu is told timeout after %lld ms of %lld", (ull)want->uid,
			 (long long)waited_ms, (long long)want->timeout_ms);
	if (conn->want && conn->asks == EVENT_ACQUIRE && want->conn != conn->id)
		return; /* an exchange that a retry took over */
	want->said = WANT_OVER;
}

static void sent_denied(struct world *w, struct want *want, const struct conn *conn,
			const struct effect *fx)
{
	if (!conn->want && fx->send.ref != want->uid)
		return; /* an act on a lease, perhaps on an older one of its */
	if (conn->want && (conn->asks != EVENT_ACQUIRE || want->conn != conn->id))
		return; /* another request about it */
	const struct journal_claim *row = journal_claim(&w->journal, want->lease);
	if (row && row->live)
		return; /* a copy of the request was taken in the same turn */
	if (want->said == WANT_ASKED || (want->said == WANT_WAITING && row))
		want->said = WANT_OVER;
}

static void sent_claim(struct world *w, struct want *want, const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	if (want->said == WANT_OVER)
		sim_fail(w, "I7: want %llu was told %s and is listed as %s", (ull)want->uid,
			 message_name(want->said_last), claim_state_name((int)fx->send.state));
	bool held = fx->send.state == CLAIM_HELD || fx->send.state == CLAIM_LOADING;
	if (fx->send.state == CLAIM_OFFERED || held)
		check_fence(w, want, fx);
	if (held || fx->send.state == CLAIM_YIELDING)
		check_token(w, want, fx);
	if (held && row->live && row->rec.state == fx->send.state) {
		want->excused_t = INT64_MAX; /* its GRANTED may never have left */
		want->need = row->rec.need;  /* nor the answer to a change */
		check_room(w, want, fx->send.gpus);
	}
	want->said = fx->send.state == CLAIM_QUEUED    ? WANT_WAITING
		     : fx->send.state == CLAIM_OFFERED ? WANT_OFFERED
						       : WANT_HELD;
}

static void sent_changed(struct world *w, struct want *want, const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	if (row->live)
		want->need = row->rec.need;
	if (want->uses)
		want->uses_need = want->need;
}

static void note_welcome(struct world *w, const struct conn *conn)
{
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (want->client != conn->client || want->life != conn->life)
			continue;
		told_drop(want);
		if (want->said != WANT_OVER)
			want->said = WANT_ASKED; /* CLAIM says it anew; what is not listed ended */
	}
}

void check_sent(struct world *w, struct conn *conn, const struct effect *fx)
{
	struct want *want = subject(w, conn, fx);
	trace_line(&w->trace,
		   "  sent to conn %llu: %s ref %llu lease %llu fence %llu gpus %#x%s%s%s%s",
		   (ull)conn->id, message_name(fx->send.msg), (ull)fx->send.ref,
		   (ull)fx->send.lease, (ull)fx->send.fence, fx->send.gpus, fx->send.err ? " " : "",
		   fx->send.err ? err_name(fx->send.err) : "",
		   fx->send.msg == SEND_YIELD || fx->send.msg == SEND_REVOKED ? " " : "",
		   fx->send.msg == SEND_YIELD || fx->send.msg == SEND_REVOKED
			   ? yield_reason_name((int)fx->send.reason)
			   : "");
	if (fx->send.msg == SEND_WELCOME && conn->client >= 0) {
		world_session_set(w, fx->send.lease, conn->client, conn->life);
		note_welcome(w, conn);
	}
	if (!want || want->life != conn->life)
		return;
	if (fx->send.msg == SEND_QUEUED)
		sent_queued(w, want, fx);
	else if (fx->send.msg == SEND_OFFERED)
		sent_offered(w, want, fx);
	else if (fx->send.msg == SEND_GRANTED)
		sent_granted(w, want, conn, fx);
	else if (fx->send.msg == SEND_RELEASED || fx->send.msg == SEND_TIMEOUT)
		sent_end(w, want, conn, fx);
	else if (fx->send.msg == SEND_DENIED)
		sent_denied(w, want, conn, fx);
	else if (fx->send.msg == SEND_CLAIM)
		sent_claim(w, want, fx);
	else if (fx->send.msg == SEND_CHANGED)
		sent_changed(w, want, fx);
	want->said_last = fx->send.msg;
}

void check_sent_finish(struct check *check)
{
	free(check->tokens);
	check->tokens = NULL;
}
