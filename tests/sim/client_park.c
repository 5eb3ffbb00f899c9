/* client_park: jobs that can be frozen. One that is asked to give way, or does so of itself, stops
 * computing, keeps its memory and asks for its turn again by a claim of its own (docs/states.md,
 * Parked). Called by client_ask.c and client_hear.c; draws from numbers of its own. */
#include "world.h"

enum { WATCH_MS_MAX = 5000, LEFT_MS_MIN = 50 };

static void job_timer(struct world *w, struct client *client, enum timer what,
		      const struct job *job, int64_t after_ms)
{
	client_set_timer(w, client, what, job->uid, after_ms);
}

static bool is_held(const struct job *job)
{
	return job->stage == JOB_HELD && !job->done && !job->stopping;
}

static bool is_own(const struct job *job, const struct job *other)
{
	return job->client == other->client && job->life == other->life;
}

/* The claim for its turn, or NULL. */
static struct job *turn_of(struct world *w, const struct job *lease)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->resumes == lease->lease && is_own(job, lease) && job->stage != JOB_OVER)
			return job;
	}
	return NULL;
}

static struct job *lease_of(struct world *w, const struct job *turn)
{
	struct job *lease = job_of_lease(w, turn->resumes);
	return lease && is_own(turn, lease) ? lease : NULL;
}

/* Moves the jobs. */
static void ask_turn(struct world *w, struct client *client, uint64_t uid)
{
	struct job *turn = job_new(w, (int)client->index);
	struct job *lease = job_of(w, uid);
	turn->binding = lease->binding;
	turn->browser = lease->browser;
	turn->cls = lease->cls;
	turn->preemptible = true;
	turn->resumes = lease->lease;
	turn->need = (struct need){.slots = lease->parked_slots,
				   .all_slots = lease->uses_need.all_slots,
				   .gpu_count = (uint32_t)__builtin_popcount(lease->gpus),
				   .gpu_mask = lease->gpus};
	turn->timeout_ms =
		rng_chance(&w->park_rng, 300) ? rng_between(&w->park_rng, 5, 300) * 1000 : -1;
	turn->asked_t = -1;
	client->claim_count++;
	w->tally.claims++;
	job_timer(w, client, TIMER_PARKED, turn, rng_between(&w->park_rng, 100, WATCH_MS_MAX));
	if (!client_ask_for(w, client, turn))
		job_over(w, turn);
}

bool client_may_park(const struct world *w, const struct client *client, const struct job *job)
{
	return client->scenario->park_permille > 0 && !w->healed && client->state == CLIENT_READY &&
	       is_held(job) && job->uses && job->uses_need.slots > 0 && !job->resident &&
	       job->parked_slots == 0 && job->resumes == 0;
}

void client_park(struct world *w, struct client *client, struct job *job)
{
	uint64_t uid = job->uid;
	job->parked_slots = job->uses_need.slots;
	job->uses_need.slots = 0; /* it is frozen before it says so */
	job->work_left_ms = job->hold_ms - (w->t - job->granted_t);
	trace_line(&w->trace, "job %llu is frozen", (unsigned long long)uid);
	job_timer(w, client, TIMER_PARKED, job, rng_between(&w->park_rng, 500, WATCH_MS_MAX));
	ask_turn(w, client, uid);
}

/* The frozen one is asked for its memory, or is over: nobody waits for its turn any more. */
void client_unpark(struct world *w, struct client *client, struct job *job)
{
	struct job *turn = turn_of(w, job);
	job->parked_slots = 0;
	if (turn)
		client_cancel(w, client, turn);
}

/* Its turn was refused, ran out of time, or got lost. */
static void watch_lease(struct world *w, struct client *client, struct job *job)
{
	if (job->parked_slots == 0 || !is_held(job))
		return;
	job_timer(w, client, TIMER_PARKED, job, rng_between(&w->park_rng, 500, WATCH_MS_MAX));
	if (client->state != CLIENT_READY || turn_of(w, job))
		return;
	if (w->healed || rng_chance(&w->park_rng, 300))
		client_release(w, job, false);
	else
		ask_turn(w, client, job->uid);
}

static void watch_turn(struct world *w, struct client *client, struct job *turn)
{
	const struct job *lease = lease_of(w, turn);
	job_timer(w, client, TIMER_PARKED, turn, rng_between(&w->park_rng, 500, WATCH_MS_MAX));
	if (lease && is_held(lease) && lease->parked_slots > 0)
		return;
	if (turn->stage == JOB_HELD)
		client_release(w, turn, false);
	else
		client_cancel(w, client, turn);
}

void client_watch_parked(struct world *w, struct client *client, struct job *job)
{
	if (job->resumes != 0)
		watch_turn(w, client, job);
	else
		watch_lease(w, client, job);
}

/* Asked for its memory meanwhile it will not go on: then the turn is a lease like any other. */
void client_resume(struct world *w, struct client *client, struct job *turn)
{
	struct job *lease = lease_of(w, turn);
	turn->stage = JOB_HELD;
	if (!lease || !is_held(lease) || lease->parked_slots == 0 || lease->asked_to_yield) {
		client_release(w, turn, false);
		return;
	}
	job_over(w, turn);
	lease->parked_slots = 0;
	lease->granted_t = w->t;
	lease->hold_ms = lease->work_left_ms > LEFT_MS_MIN ? lease->work_left_ms : LEFT_MS_MIN;
	w->tally.resumes++;
	trace_line(&w->trace, "job %llu goes on", (unsigned long long)lease->uid);
	job_timer(w, client, TIMER_RELEASE, lease, lease->hold_ms);
}

/* It can not be frozen: it goes, as it was asked to. */
void client_park_refused(struct world *w, struct job *turn)
{
	struct job *lease = lease_of(w, turn);
	job_over(w, turn);
	if (lease && is_held(lease) && lease->parked_slots > 0)
		client_release(w, lease, lease->asked_to_yield);
}

void client_turn_unread(struct world *w, const struct job *turn)
{
	struct job *lease = turn->resumes != 0 ? lease_of(w, turn) : NULL;
	if (lease && lease->parked_slots > 0)
		lease->uses_need.slots = 0;
}
