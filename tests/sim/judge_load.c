/* judge_load: a lease that loads. It is ready when its own client says so; only then its turn
 * begins, or has run since the grant where it cannot be cut short; and all its loading in one turn
 * is over in time, never before. Called for each record of a claim and at the end of a turn. */
#include "judge.h"
#include "outside.h"

typedef unsigned long long ull;

enum { LOAD_MS_SLACK = 10 };

static int64_t spent_ms(const struct world *w, const struct job *job)
{
	return job->load.spent_ms + (job->load.on ? w->t - job->load.since_t : 0);
}

static void judge_ready(struct world *w, const struct job *job, const struct claim_record *rec)
{
	int64_t began_ms = broker_now(w).v;
	if (w->check.ready != job->uid)
		judge_fail(w, JUDGE_LOAD, "lease %llu is ready, and nobody said so",
			   (ull)job->lease);
	if (!job->preemptible)
		began_ms -= w->t - job->offered_t;
	/* A restart forgets when it was offered; a resident's turn is that of its guests, an heir's
	 * that of its lender. */
	if (rec->turn_since.v != began_ms && rec->need.slots > 0 && !job->heir &&
	    job->offered_t > w->check.started_t)
		judge_fail(w, JUDGE_LOAD, "lease %llu is ready, and its turn began %lld ms ago",
			   (ull)job->lease, (long long)(broker_now(w).v - rec->turn_since.v));
}

static void judge_over(struct world *w, const struct job *job)
{
	int64_t ms = spent_ms(w, job);
	w->tally.load_maxes++;
	if (!job->load.on || ms < w->broker.config.load_ms_max)
		judge_fail(w, JUDGE_LOAD, "lease %llu is revoked after %lld ms of loading",
			   (ull)job->lease, (long long)ms);
}

/* Nothing but being ready gives a turn a new beginning. */
static bool begins_anew(const struct job *job, const struct claim_record *rec)
{
	return job->now.state == CLAIM_HELD && rec->state == CLAIM_HELD &&
	       rec->fence == job->now.fence && job->now.slots > 0 && rec->need.slots > 0 &&
	       !job->heir && !job->was_lent && rec->turn_since.v != job->now.turn_ms;
}

/* One that had its whole turn, or comes back of its own, has all its time again. */
static bool comes_back(const struct job *job, const struct claim_record *rec)
{
	return job->had_room && (rec->state == CLAIM_QUEUED || rec->fence != job->now.fence);
}

void load_record(struct world *w, struct job *job, const struct claim_record *rec, bool ends)
{
	struct job_load *load = &job->load;
	bool judged = judge_is_on(w, JUDGE_LOAD);
	bool has = !ends && outside_is_held(rec->state);
	load->parked = false;
	bool anew = has && rec->loading && rec->fence != load->fence;
	if (judged && rec->revoked && !job->revoked && rec->yield_reason == YIELD_LOAD_MAX)
		judge_over(w, job);
	if (judged && begins_anew(job, rec))
		judge_fail(w, JUDGE_LOAD, "the turn of lease %llu begins anew", (ull)job->lease);
	if (load->on && has && !rec->loading && rec->fence == load->fence) {
		w->tally.readies++;
		load->parked = rec->parked_slots > 0; /* frozen, it is taken for ready */
		if (judged && !load->parked)
			judge_ready(w, job, rec);
	}
	if (load->on && !(has && rec->loading && rec->fence == load->fence)) {
		load->spent_ms = spent_ms(w, job);
		load->on = false;
	}
	if (!ends && comes_back(job, rec) && !job->load.cut_short)
		load->spent_ms = 0;
	if (anew)
		*load = (struct job_load){.on = true,
					  .since_t = w->t,
					  .spent_ms = load->spent_ms,
					  .fence = rec->fence};
	if (rec->state == CLAIM_LOADING && (anew || job->now.state != CLAIM_LOADING))
		load->entered_t = w->t;
	load->cut_short = rec->state == CLAIM_YIELDING && rec->yield_reason == YIELD_PREEMPTED;
}

void load_turn(struct world *w)
{
	bool judged = w->scenario.uses_loads && judge_is_on(w, JUDGE_LOAD);

	/* In observe mode it may load for as long as it likes, whoever granted it. */
	for (size_t i = 0; judged && !w->broker.config.observe && i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		if (!job->load.on || job->now.state != CLAIM_LOADING || job->observed)
			continue;
		/* A stall moves every deadline; a crash gives who held a moment more; and one that
		 * is let go when its time is over is judged by the next tick. */
		if (w->tainted_t < job->load.since_t && w->taints_open == 0 &&
		    w->t - job->load.entered_t > LOAD_MS_SLACK &&
		    spent_ms(w, job) > w->broker.config.load_ms_max + LOAD_MS_SLACK)
			judge_fail(w, JUDGE_LOAD, "lease %llu loads for %lld ms of %lld",
				   (ull)job->lease, (long long)spent_ms(w, job),
				   (long long)w->broker.config.load_ms_max);
	}
}
