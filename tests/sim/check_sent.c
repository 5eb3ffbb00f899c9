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

static struct job *subject(struct world *w, const struct conn *conn, const struct effect *fx)
{
	if (conn->job)
		return job_of(w, conn->job);
	struct job *job = job_of(w, fx->send.ref);
	if (!job)
		job = job_of_lease(w, fx->send.lease);
	return job && job->client == conn->client ? job : NULL;
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

/* One token names one grant of one job, forever. */
static void check_token(struct world *w, const struct job *job, const struct effect *fx)
{
	struct check *check = &w->check;
	if (check->token_count * 2 >= check->tokens_size)
		grow_tokens(check);
	struct check_token token = {.hi = number_of(fx->send.token.b),
				    .lo = number_of(fx->send.token.b + 8),
				    .claim = job->uid,
				    .fence = fx->send.fence};
	if (token.hi == 0 && token.lo == 0)
		sim_fail(w, "job %llu was granted without a token", (ull)job->uid);
	uint64_t at = token.lo & (check->tokens_size - 1);
	for (; check->tokens[at].claim != 0; at = (at + 1) & (check->tokens_size - 1)) {
		const struct check_token *seen = &check->tokens[at];
		if (seen->hi != token.hi || seen->lo != token.lo)
			continue;
		if (seen->claim != token.claim || seen->fence != token.fence)
			sim_fail(w,
				 "the token of job %llu fence %llu comes again for job %llu "
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
static void check_fence(struct world *w, struct job *job, const struct effect *fx)
{
	uint64_t fence = fx->send.fence;
	if (fence > w->journal.fence_max)
		sim_fail(w, "I2: fence %llu is not reserved, only up to %llu", (ull)fence,
			 (ull)w->journal.fence_max);
	job->said_fence = fence;
}

static const struct journal_claim *row_of(struct world *w, const struct effect *fx)
{
	const struct journal_claim *row = journal_claim(&w->journal, fx->send.lease);
	if (!row)
		sim_fail(w, "I8: %s names claim %llu, which is not in the journal",
			 message_name(fx->send.msg), (ull)fx->send.lease);
	return row;
}

static void sent_queued(struct world *w, struct job *job, const struct effect *fx)
{
	row_of(w, fx);
	if (job->said == JOB_OVER)
		sim_fail(w, "I7: job %llu was told %s and is queued again", (ull)job->uid,
			 message_name(job->said_last));
	job->said = JOB_WAITING;
}

static void sent_offered(struct world *w, struct job *job, const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	if (job->said == JOB_OVER)
		sim_fail(w, "I7: job %llu was told %s and is offered a GPU", (ull)job->uid,
			 message_name(job->said_last));
	if (row->live && row->rec.fence < fx->send.fence)
		sim_fail(w, "I8: fence %llu of job %llu is not in the journal", (ull)fx->send.fence,
			 (ull)job->uid);
	check_fence(w, job, fx);
	job->said = JOB_OFFERED;
}

/* The turn of a parked lease came back: its claim is over, the lease computes again. */
static void sent_resumed(struct world *w, const struct job *turn, const struct conn *conn)
{
	const struct journal_claim *row = journal_claim(&w->journal, turn->resumes);
	struct job *lease = job_of_lease(w, turn->resumes);
	if (!lease || !row || !row->live || row->rec.parked_slots > 0 || row->rec.revoked)
		return; /* taken back in the same turn */
	lease->need = row->rec.need;
	check_room(w, lease, row->rec.granted_mask);
	if (lease->uses && conn->client_open)
		lease->uses_need.slots = lease->need.slots;
}

static void sent_granted(struct world *w, struct job *job, const struct conn *conn,
			 const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	if (job->said == JOB_OVER)
		sim_fail(w, "I7: job %llu was told %s and is granted a GPU", (ull)job->uid,
			 message_name(job->said_last));
	if (job->resumes != 0 && !row->live && row->rec.fence == fx->send.fence) {
		check_fence(w, job, fx);
		job->said = JOB_HELD;
		sent_resumed(w, job, conn);
		return;
	}
	if (row->held_fence != fx->send.fence)
		sim_fail(w, "I8: job %llu is granted with fence %llu, the journal has %llu",
			 (ull)job->uid, (ull)fx->send.fence, (ull)row->held_fence);
	bool again = job->said == JOB_HELD && job->said_fence == fx->send.fence;
	if (job->changed || job->was_parked)
		job->need = row->rec.need;
	check_fence(w, job, fx);
	check_token(w, job, fx);
	job->said = JOB_HELD;
	/* If it was taken back in the same turn, the message is stale already but harms nobody. */
	if (again || !row->live || row->rec.revoked || row->rec.fence != fx->send.fence)
		return;
	/* A new claim; what its server still had by the old one was given away by then. */
	if (job_is_model(job) && job->fence != fx->send.fence)
		job_stop(w, job);
	job->excused_t = INT64_MAX;
	check_room(w, job, fx->send.gpus);
	if (conn->client_open && job->stage != JOB_OVER) /* else nobody reads it, or wants it */
		job_use(w, job, fx->send.gpus);
}

static void sent_end(struct world *w, struct job *job, const struct conn *conn,
		     const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	/* A stall is no waiting; a crash may forget one that was not committed. */
	int64_t waited_ms = w->t - job->asked_t;
	if (job->asked_t >= w->check.started_t)
		waited_ms -= w->stalled_ms - job->asked_stalled_ms;
	if (fx->send.end == END_NONE && job->yielded)
		return; /* gave way and comes back: QUEUED says the rest */
	if (row->live && row->rec.state != CLAIM_DRAINING)
		sim_fail(w, "I8: job %llu is told %s, but the journal has it as %s", (ull)job->uid,
			 message_name(fx->send.msg), claim_state_name((int)row->rec.state));
	if (fx->send.msg == SEND_TIMEOUT && job->timeout_ms >= 0 && !job->yielded &&
	    !job->retried && job->asked_t >= 0 && waited_ms < job->timeout_ms)
		sim_fail(w, "job %llu is told timeout after %lld ms of %lld", (ull)job->uid,
			 (long long)waited_ms, (long long)job->timeout_ms);
	if (conn->job && conn->asks == EVENT_ACQUIRE && job->conn != conn->id)
		return; /* an exchange that a retry took over */
	job->said = JOB_OVER;
}

static void sent_denied(struct world *w, struct job *job, const struct conn *conn,
			const struct effect *fx)
{
	if (!conn->job && fx->send.ref != job->uid)
		return; /* an act on a lease, perhaps on an older one of its */
	if (conn->job && (conn->asks != EVENT_ACQUIRE || job->conn != conn->id))
		return; /* another request about it */
	const struct journal_claim *row = journal_claim(&w->journal, job->lease);
	if (row && row->live)
		return; /* a copy of the request was taken in the same turn */
	if (job->said == JOB_ASKED || (job->said == JOB_WAITING && row))
		job->said = JOB_OVER;
}

static void sent_claim(struct world *w, struct job *job, const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	if (job->said == JOB_OVER)
		sim_fail(w, "I7: job %llu was told %s and is listed as %s", (ull)job->uid,
			 message_name(job->said_last), claim_state_name((int)fx->send.state));
	bool held = fx->send.state == CLAIM_HELD || fx->send.state == CLAIM_LOADING;
	if (fx->send.state == CLAIM_OFFERED || held)
		check_fence(w, job, fx);
	if (held || fx->send.state == CLAIM_YIELDING)
		check_token(w, job, fx);
	if (held && row->live && row->rec.state == fx->send.state) {
		job->excused_t = INT64_MAX; /* its GRANTED may never have left */
		job->need = row->rec.need;  /* nor the answer to a change */
		check_room(w, job, fx->send.gpus);
	}
	job->said = fx->send.state == CLAIM_QUEUED    ? JOB_WAITING
		    : fx->send.state == CLAIM_OFFERED ? JOB_OFFERED
						      : JOB_HELD;
}

static void sent_changed(struct world *w, struct job *job, const struct effect *fx)
{
	const struct journal_claim *row = row_of(w, fx);
	if (row->live)
		job->need = row->rec.need;
	if (job->uses)
		job->uses_need = job->need;
}

static void note_welcome(struct world *w, const struct conn *conn)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client != conn->client || job->life != conn->life)
			continue;
		told_drop(job);
		if (job->said != JOB_OVER)
			job->said = JOB_ASKED; /* CLAIM says it anew; what is not listed ended */
	}
}

void check_sent(struct world *w, struct conn *conn, const struct effect *fx)
{
	struct job *job = subject(w, conn, fx);
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
	if (!job || job->life != conn->life)
		return;
	if (fx->send.msg == SEND_QUEUED)
		sent_queued(w, job, fx);
	else if (fx->send.msg == SEND_OFFERED)
		sent_offered(w, job, fx);
	else if (fx->send.msg == SEND_GRANTED)
		sent_granted(w, job, conn, fx);
	else if (fx->send.msg == SEND_RELEASED || fx->send.msg == SEND_TIMEOUT)
		sent_end(w, job, conn, fx);
	else if (fx->send.msg == SEND_DENIED)
		sent_denied(w, job, conn, fx);
	else if (fx->send.msg == SEND_CLAIM)
		sent_claim(w, job, fx);
	else if (fx->send.msg == SEND_CHANGED)
		sent_changed(w, job, fx);
	job->said_last = fx->send.msg;
}

void check_sent_finish(struct check *check)
{
	free(check->tokens);
	check->tokens = NULL;
}
