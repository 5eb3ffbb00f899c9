/* client_gateway: the gateway's claims. A model in a server's memory outlives the broker: the
 * gateway asks for it again, late or never; a server gives memory back in its own time. Called by
 * client_ask.c and client_hear.c. */
#include "world.h"

enum { ASK_AGAIN_PERMILLE = 850 };

/* A model that is in memory: by the number, so that other draws stay what they were. */
static uint64_t some_model(const struct world *w, const struct job *job)
{
	uint64_t at = job->uid, found = 0;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = &w->jobs.v[w->jobs.active[i] - 1];
		if (!job_is_model(other) || other->stage != JOB_HELD || other->done)
			continue;
		found = other->lease;
		if (at-- % 3 == 0)
			break;
	}
	return found;
}

void client_gateway_draw(const struct world *w, struct job *job)
{
	job->need.gpu_count = 1;
	job->need.all_slots = false;
	if (!job->resident) {
		job->model = job->uid % 8 != 0 ? some_model(w, job) : 0;
		job->need.vram_bytes = job->model ? 0 : job->need.vram_bytes;
		return;
	}
	job->need.slots = 0;
	job->evictable |= w->scenario.switches;
	job->has_request_id = job->preemptible = true;
	job->no_wait = false;
	job->timeout_ms = -1;
}

/* Some servers are slower than they may be. */
static void end_within(struct world *w, struct client *client, struct job *job, int64_t most_ms)
{
	if (job->stopping)
		return;
	job->done = job->stage == JOB_HELD;
	job->stopping = true;
	client_set_timer(w, client, TIMER_STOPPED, job->uid, rng_between(&w->rng, 0, most_ms));
}

void client_gateway_unload(struct world *w, struct client *client, struct job *job)
{
	end_within(w, client, job, w->broker.config.unload_ms_max * 12 / 10);
}

void client_gateway_lost(struct world *w, struct client *client, struct job *job)
{
	int64_t linger_ms = w->broker.config.restart_linger_ms;
	const struct journal_claim *row = journal_claim(&w->journal, job->lease);
	if (job->stage == JOB_OVER || job->stopping)
		return;
	/* The new gateway knows what it had by the journal. */
	if (job->stage == JOB_HELD &&
	    (!row || !row->live || !rng_chance(&w->rng, ASK_AGAIN_PERMILLE)))
		end_within(w, client, job, linger_ms + w->broker.config.unload_ms_max);
	else
		client_set_timer(w, client, TIMER_RETRY, job->uid,
				 rng_between(&w->rng, 50, linger_ms * 12 / 10));
}
