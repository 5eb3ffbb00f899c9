/* judge_told: every wait against the number that its client could be told when it began. The clock
 * of the judge stops for nothing that clients do; where the machine stood still or was changed the
 * wait is not judged (w->taints): suspend, stall, crash, an operator's acts, a reload, a full disk,
 * a sick GPU, strangers' VRAM, a process that does not die or cannot be watched.
 *
 * A wait ends with its offer. Its own client's lost connection ends the judging, too. */
#include "judge.h"
#include "world.h"

typedef unsigned long long ull;

void told_taint(struct world *w)
{
	w->taints++;
	w->tainted_t = w->t;
}

void told_begin(struct world *w, struct job *job, int64_t begin_t)
{
	struct job_told *told = &job->told;
	*told = (struct job_told){.begin_t = begin_t, .since_t = w->t, .taints = w->taints};
	if (w->taints_open > 0 || (w->taints > 0 && w->tainted_t >= begin_t))
		return;
	told->running = true;
	struct bound bound;
	core_bound(w->broker.core, job->lease, broker_now(w), &bound);
	told->ms = bound.ms;
	if (told->ms < 0)
		w->tally.told_none[bound.none]++;
	else if ((uint64_t)told->ms > w->tally.told_most_ms[job->cls])
		w->tally.told_most_ms[job->cls] = (uint64_t)told->ms;
}

void told_drop(struct job *job)
{
	job->told.running = false;
}

static bool still_judged(struct world *w, struct job *job)
{
	if (job->told.taints != w->taints || w->taints_open > 0)
		job->told.running = false;
	return job->told.running && job->told.ms >= 0;
}

static int64_t judge_wait(struct world *w, const struct job *job)
{
	int64_t waited_ms = w->t - job->told.begin_t;
	if (judge_is_on(w, JUDGE_TOLD) && w->t - job->told.since_t > job->told.ms)
		judge_fail(w, JUDGE_TOLD, "job %llu (%s, claim %llu) waits %lld ms, was told %lld",
			   (ull)job->uid, lease_class_name((int)job->cls), (ull)job->lease,
			   (long long)waited_ms, (long long)job->told.ms);
	return waited_ms;
}

void told_end(struct world *w, struct job *job)
{
	if (!still_judged(w, job)) {
		told_drop(job);
		return;
	}
	int64_t waited_ms = judge_wait(w, job);
	uint64_t permille =
		(uint64_t)waited_ms * 1000 / (uint64_t)(job->told.ms > 0 ? job->told.ms : 1);
	if (job->told.ms == 0)
		permille = 0; /* served at once */
	w->tally.waits[job->cls]++;
	if (permille > w->tally.worst_permille[job->cls])
		w->tally.worst_permille[job->cls] = permille;
	told_drop(job);
}

/* What is told later, by another question, may only be less. */
static void judge_raised(struct world *w, const struct job *job)
{
	int64_t ms = core_bound_ms(w->broker.core, job->lease, broker_now(w));
	int64_t left_ms = job->told.since_t + job->told.ms - w->t;
	if (ms > left_ms)
		judge_fail(w, JUDGE_RAISED,
			   "job %llu (%s) was told %lld ms, has %lld left of it "
			   "and is told %lld",
			   (ull)job->uid, lease_class_name((int)job->cls), (long long)job->told.ms,
			   (long long)left_ms, (long long)ms);
}

void told_turn(struct world *w)
{
	size_t count = w->jobs.active_count;
	for (size_t i = 0; i < count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (!still_judged(w, job))
			continue;
		judge_wait(w, job);
		/* One of them per turn is asked again, for it costs. */
		if (judge_is_on(w, JUDGE_RAISED) && i == w->broker.turns % count)
			judge_raised(w, job);
	}
}
