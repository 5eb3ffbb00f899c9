/* judge_evict: who has to leave for another's memory, and who is back too soon. Called for each
 * yield that says evicted, for each record, and for each offer. */
#include "judge.h"
#include "outside.h"

typedef unsigned long long ull;

static int64_t residence_ms(const struct world *w, const struct job *job)
{
	int64_t most_ms = w->broker.config.min_residence_ms_max;
	return job->min_residence_ms < most_ms ? job->min_residence_ms : most_ms;
}

/* `before_t`: served before then. */
static bool computes(struct world *w, const struct job *job, int64_t before_t)
{
	if (job->binding > BIND_TAB)
		return false;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		if (other->client == job->client && other->life == job->life && other->live &&
		    outside_has_room_now(other) && other->now.slots > 0 &&
		    other->offered_t < before_t)
			return true;
	}
	return false;
}

/* Which one had to wait until its class was due is not seen from here. What its session was given
 * or gave back in this very step may have been before or after. */
static bool may_be_evicted(struct world *w, const struct job *job, const struct job *head)
{
	if (broker_now(w).v < switch_asked_at(w, job, head, true))
		return false;
	return job->live && !job->observed && job->now.state == CLAIM_HELD && job->evictable &&
	       job->now.slots == 0 && job->inside == 0 && !job->lends && !inside_anybody(w, job) &&
	       broker_now(w).v - job->now.held_ms >= residence_ms(w, job) &&
	       w->clients[job->client].compute_ended_ms != broker_now(w).v &&
	       !computes(w, job, INT64_MAX);
}

static int64_t idle_ms(struct world *w, const struct job *job)
{
	int64_t since_ms = job->now.held_ms;
	const struct client *client = &w->clients[job->client];
	if (job->binding <= BIND_TAB && client->compute_ended_ms > since_ms)
		since_ms = client->compute_ended_ms;
	if (job->users_ended_ms > since_ms)
		since_ms = job->users_ended_ms;
	if (switch_runs(w, job))
		return 0;
	return broker_now(w).v - since_ms;
}

static int64_t cost_ms(const struct job *job)
{
	int64_t loaded_ms = job->now.loaded_ms;
	int64_t ms = job->load_ms > loaded_ms ? job->load_ms : loaded_ms;
	return ms > 0 ? ms : 1;
}

static void judge_choice(struct world *w, const struct job *job, const struct job *other)
{
	if (other->cls > job->cls)
		judge_fail(w, JUDGE_EVICT, "lease %llu (%s) is evicted, %llu (%s) beside it stays",
			   (ull)job->lease, lease_class_name((int)job->cls), (ull)other->lease,
			   lease_class_name((int)other->cls));
	/* What was used when is not in the journal. */
	if (other->cls < job->cls || w->tally.restarts > 0 || w->stalled_ms > 0)
		return;
	/* A second more for each: within it all are as fresh. */
	__extension__ __int128 mine = 1000 + idle_ms(w, job), theirs = 1000 + idle_ms(w, other);
	if (theirs * cost_ms(job) > mine * cost_ms(other))
		judge_fail(w, JUDGE_EVICT,
			   "lease %llu, idle for %lld ms, loaded in %lld, is evicted; %llu, idle "
			   "for %lld, loaded in %lld, stays",
			   (ull)job->lease, (long long)mine, (long long)job->load_ms,
			   (ull)other->lease, (long long)theirs, (long long)other->load_ms);
}

static void judge_parked(struct world *w, const struct job *job)
{
	if (judge_is_on(w, JUDGE_EVICT) && broker_now(w).v < job->keeps_until_ms)
		judge_fail(w, JUDGE_EVICT, "parked lease %llu is evicted %lld ms too soon",
			   (ull)job->lease, (long long)(job->keeps_until_ms - broker_now(w).v));
}

/* For whom a parked lease is asked while its session is away, is in no record: when the session is
 * back it is told for whom by then, who may be another. */
void evict_record(struct world *w, struct job *job, const struct claim_record *rec, bool ends)
{
	bool asked = !ends && rec->state == CLAIM_YIELDING && !rec->revoked &&
		     rec->yield_reason == YIELD_EVICTED && job->now.state == CLAIM_HELD;

	if (!asked || rec->parked_slots == 0 || job->lost_t == INT64_MAX)
		return;
	job->evicted_unheard = true;
	w->check.unheard = true;
}

static bool is_wanted_by_higher(struct world *w, const struct job *job)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		const struct need *need = &other->now.need;
		if (other->live && other->now.state == CLAIM_QUEUED && other->cls < job->cls &&
		    need->vram_bytes > 0 &&
		    (need->gpu_mask == 0 || (need->gpu_mask & job->now.gpus)))
			return true;
	}
	return false;
}

static void judge_unheard(struct world *w)
{
	w->check.unheard = false;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->evicted_unheard && job->now.state == CLAIM_YIELDING &&
		    !is_wanted_by_higher(w, job))
			judge_parked(w, job);
		job->evicted_unheard = false;
	}
}

void evict_asked(struct world *w, struct job *job, uint64_t for_lease, bool in_this_step)
{
	if (job->now.state != CLAIM_YIELDING)
		return; /* asked for another, and let go, in one step */
	const struct job *first = job_of_lease(w, job->evicted_for);
	/* Another may be told meanwhile: its room is for the first as long as that waits. For whom
	 * it was asked first is not heard by who was away. */
	if (!first || !first->live || first->now.state != CLAIM_QUEUED ||
	    first->lease != job->evicted_for || job->evicted_fence != job->now.fence) {
		job->evicted_for = in_this_step ? for_lease : 0;
		job->evicted_fence = job->now.fence;
		job->evicted_t = w->t;
		first = job_of_lease(w, for_lease);
		job->evicted_head_fence = first ? first->recorded_fence : 0;
		job->evicted_gpus = job->now.gpus;
	}
	const struct job *head = job_of_lease(w, for_lease);
	/* Who counts on it as well, since it leaves anyway, has not made it leave. */
	bool alone = job->evicted_for == for_lease;
	if (job->now.parked_slots > 0 && head && alone && head->cls >= job->cls && in_this_step)
		judge_parked(w, job);
	bool full = inside_anybody(w, job); /* in use, for a turn at a time */
	if (!judge_is_on(w, JUDGE_EVICT) || job->inside != 0)
		return;
	int64_t held_ms = broker_now(w).v - job->now.held_ms;
	if (held_ms < residence_ms(w, job))
		judge_fail(w, JUDGE_EVICT, "lease %llu is evicted after %lld ms of %lld",
			   (ull)job->lease, (long long)held_ms, (long long)residence_ms(w, job));
	if (head && in_this_step && job->now.parked_slots == 0 && !full)
		switch_asked(w, job, head);
	if (!full && computes(w, job, w->t))
		judge_fail(w, JUDGE_EVICT, "lease %llu is evicted, its session computes",
			   (ull)job->lease);
	if (__builtin_popcount(job->now.gpus) != 1 || job->lends || full)
		return;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		if (head && other != job && (other->now.gpus & job->now.gpus) &&
		    may_be_evicted(w, other, head) && other->need.vram_bytes > 0)
			judge_choice(w, job, other);
	}
}

void evict_offered(struct world *w, struct job *job)
{
	job->back = judge_is_on(w, JUDGE_COMEBACK) && job->evicted_for != 0;
	w->check.back |= job->back;
	w->check.back_now |= job->back;
}

static void judge_back(struct world *w, const struct outside *outside, const struct job *job)
{
	const struct job *head = job_of_lease(w, job->evicted_for);
	if (job->inside != 0)
		return; /* it is back in its host, which was let keep its lease */
	if (!head || head->lease != job->evicted_for || !head->live || !w->well ||
	    head->now.state != CLAIM_QUEUED || head->recorded_fence != job->evicted_head_fence ||
	    w->tainted_t > job->evicted_t || !outside_waits(w, head))
		return;
	const struct need *need = &outside_row(w, head)->need;
	/* Who has no lease, or is named by no probe, may stay forever. */
	uint32_t judged = job->evicted_gpus & ~(w->unnamed_mask | w->leftover_mask);
	uint32_t back = outside_possible(outside, need) & judged & job->now.gpus;
	if (need->gpu_count == 1 && back)
		judge_fail(w, JUDGE_COMEBACK,
			   "claim %llu made room for %llu and is served again before it",
			   (ull)job->lease, (ull)job->evicted_for);
}

static void forget_backs(struct world *w)
{
	w->check.back = false;
	for (size_t i = 0; i < w->jobs.active_count; i++)
		job_of(w, w->jobs.active[i])->back = false;
}

/* Rows are counted once they are committed, at the end of the turn: only where nothing was recorded
 * since the offer. */
void evict_step(struct world *w)
{
	if (w->check.unheard)
		judge_unheard(w);
	if (w->check.back && w->check.recorded && !w->check.back_now)
		forget_backs(w);
	w->check.back_now = w->check.recorded = false;
}

/* Whoever waited may have left in the same step. */
void evict_turn(struct world *w)
{
	struct outside outside;
	if (!w->check.back)
		return;
	outside_count(w, &outside);
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		if (job->back)
			judge_back(w, &outside, job);
	}
	forget_backs(w);
}
