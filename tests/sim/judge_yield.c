/* judge_yield: what becomes of those who were asked to give way: a yield that is taken back is
 * told, nobody is asked for somebody who has left, nobody is asked on two GPUs for one claim, and a
 * hold that is too long ends when it is somebody's turn. */
#include "judge.h"
#include "outside.h"

typedef unsigned long long ull;

enum { LEFT_MS_MAX = 10, HOLD_MS_SLACK = 10, RELOADED_MS = 1000 };

void yield_sent(struct world *w, struct job *job, const struct effect *fx)
{
	if (fx->send.msg == SEND_YIELD) {
		job->yield_for = fx->send.other;
		trace_line(&w->trace, "  lease %llu is asked for claim %llu", (ull)job->lease,
			   (ull)fx->send.other);
	} else if (fx->send.msg == SEND_KEEP) {
		job->yield_for = 0;
		job->kept_untold = false;
	}
}

static bool has_ears(const struct job *job)
{
	return job->binding != BIND_HTTP && job->lost_t == INT64_MAX;
}

void yield_record(struct world *w, struct job *job, const struct claim_record *rec, bool ends)
{
	bool held = rec->state == CLAIM_HELD || rec->state == CLAIM_LOADING;
	bool kept =
		job->now.state == CLAIM_YIELDING && held && !ends && rec->fence == job->held_fence;
	if (!kept)
		return;
	job->yield_asked = false;
	job->evicted_for = 0; /* it need not go for anybody */
	job->kept_untold = has_ears(job);
	w->check.kept = true;
}

void yield_step(struct world *w, bool starts)
{
	if (!w->check.kept)
		return;
	w->check.kept = false;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->kept_untold && !starts && judge_is_on(w, JUDGE_KEEP))
			judge_fail(w, JUDGE_KEEP, "lease %llu may stay and is not told",
				   (ull)job->lease);
		job->kept_untold = false;
	}
}

static bool is_asked(const struct job *job)
{
	return job->live && job->now.state == CLAIM_YIELDING && !job->revoked && job->yield_asked &&
	       job->inside == 0 && job->yield_for != 0 &&
	       (job->yield_reason == YIELD_PREEMPTED || job->yield_reason == YIELD_EVICTED);
}

/* Asked for somebody who does not wait any more: it is asked for another, or may stay. Who has no
 * ears is told neither. */
static void judge_left(struct world *w, struct job *job, const struct job *head)
{
	bool left = has_ears(job) && (!head || !head->live || head->now.state != CLAIM_QUEUED);
	if (!left || job->left_since_t == 0)
		job->left_since_t = left ? w->t : 0;
	if (left && judge_is_on(w, JUDGE_KEEP) && w->t - job->left_since_t > LEFT_MS_MAX)
		judge_fail(w, JUDGE_KEEP,
			   "lease %llu still has to go for claim %llu, which has left",
			   (ull)job->lease, (ull)job->yield_for);
}

/* Whom an asking has passed on to is not heard by who is away. */
static void judge_two(struct world *w, const struct job *job, struct job *head)
{
	if (head->need.gpu_count != 1 || !has_ears(job) || !judge_is_on(w, JUDGE_TWO))
		return;
	if (head->asked_turn != w->broker.turns) {
		head->asked_turn = w->broker.turns;
		head->asked_gpus = UINT32_MAX;
	}
	head->asked_gpus &= job->now.gpus;
	if (head->asked_gpus == 0)
		judge_fail(w, JUDGE_TWO,
			   "lease %llu is asked for claim %llu on %#x, another elsewhere",
			   (ull)job->lease, (ull)head->lease, job->now.gpus);
}

/* Would its turn serve somebody who waits for nothing else? */
static const struct job *whom_it_serves(struct world *w, const struct outside *outside,
					const struct job *holder)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		if (!outside_waits(w, job))
			continue;
		const struct need *need = &outside_row(w, job)->need;
		if (need->vram_bytes == 0 && need->gpu_count == 1 && need->slots > 0 &&
		    !need->all_slots && need->slots <= holder->now.slots &&
		    (outside_possible(outside, need) & holder->now.gpus))
			return job;
	}
	return NULL;
}

/* An heir goes on with the turn of its lender, who may be of any class. */
static int64_t hold_limit_ms(const struct world *w, const struct job *holder)
{
	const struct class_config *classes = w->broker.config.classes;
	int64_t most_ms = classes[holder->cls].hold_ms_max;
	for (int cls = 0; holder->heir && cls < LEASE_CLASS_COUNT; cls++)
		if (classes[cls].hold_ms_max > most_ms)
			most_ms = classes[cls].hold_ms_max;
	return most_ms;
}

static void judge_hold(struct world *w, const struct outside *outside, const struct job *holder)
{
	int64_t limit_ms = hold_limit_ms(w, holder);
	int64_t ran_ms = broker_now(w).v - holder->now.turn_ms;
	bool runs = holder->now.state == CLAIM_HELD ||
		    (holder->now.state == CLAIM_LOADING && !holder->preemptible);
	if (!runs || holder->now.slots == 0 || holder->inside != 0 || holder->lends ||
	    ran_ms <= limit_ms - holder->now.used_ms + HOLD_MS_SLACK)
		return;
	/* Since a reload there may be fewer turns than are used: one that ends serves nobody. */
	if (outside->gpus[0].slots_used > outside->gpus[0].slots)
		return;
	const struct job *waiter = whom_it_serves(w, outside, holder);
	if (waiter)
		judge_fail(w, JUDGE_HOLD,
			   "lease %llu (%s) is held for %lld ms of %lld beside claim %llu",
			   (ull)holder->lease, lease_class_name((int)holder->cls),
			   (long long)ran_ms, (long long)limit_ms, (ull)waiter->lease);
}

void yield_turn(struct world *w)
{
	struct outside outside;
	bool counted = false, calm = w->well;
	/* On several GPUs or slots another's turn may end for the same waiter. */
	bool holds = judge_is_on(w, JUDGE_HOLD) && w->broker.config.gpu_count == 1 &&
		     w->broker.config.gpus[0].slots == 1 && w->t - w->check.config_t > RELOADED_MS;
	for (size_t i = 0; calm && i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		struct job *head = job_of_lease(w, job->yield_for);
		if (is_asked(job)) {
			judge_left(w, job, head);
			if (head && head->live && head->now.state == CLAIM_QUEUED)
				judge_two(w, job, head);
		} else {
			job->left_since_t = 0;
		}
		if (!holds || !job->live || !job->now.state)
			continue;
		if (!counted)
			outside_count(w, &outside);
		counted = true;
		judge_hold(w, &outside, job);
	}
}
