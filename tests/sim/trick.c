/* trick: adversaries (scenario.h, TRICK_TABLE). They send nothing that an honest client could not
 * send in some situation; they only do it always. */
#include "trick.h"

#include "world.h"

enum { YEAR_S = 365 * 86400 };

static bool plays(const struct world *w, const struct client *client, enum trick trick)
{
	return !w->healed && client->scenario->trick == trick;
}

static void acted(struct world *w, const struct client *client)
{
	w->tally.tricks[client->scenario->trick]++;
}

static void timer(struct world *w, struct client *client, enum timer what, const struct job *job,
		  int64_t after_ms)
{
	client_set_timer(w, client, what, job->uid, after_ms);
}

static uint64_t vram_most(const struct world *w)
{
	const struct core_config *config = &w->scenario.config;
	uint64_t most = 0;
	for (uint32_t gpu = 0; gpu < config->gpu_count; gpu++)
		if (config->gpus[gpu].vram_known && config->gpus[gpu].vram_bytes_total > most)
			most = config->gpus[gpu].vram_bytes_total;
	return most > 0 ? most : 8 * w->scenario.vram_unit;
}

static void draw_sets(struct world *w, struct job *job)
{
	uint32_t count = w->scenario.config.gpu_count;
	job->need.gpu_mask = 1 + (uint32_t)rng_below(&w->rng, (UINT64_C(1) << count) - 1);
	job->need.gpu_count =
		(uint32_t)rng_between(&w->rng, 1, __builtin_popcount(job->need.gpu_mask));
}

void trick_draw(struct world *w, const struct client *client, struct job *job)
{
	enum trick trick = client->scenario->trick;
	if (w->healed || trick == TRICK_NONE)
		return;
	job->timeout_ms = -1;
	if (trick == TRICK_FLOODS || trick == TRICK_SETS || trick == TRICK_SQUATS)
		acted(w, client);
	if (trick == TRICK_UNSTOPPABLE || trick == TRICK_RENEWS)
		job->uninterruptible_ms = 20000;
	if (trick == TRICK_SETS)
		draw_sets(w, job);
	if (trick != TRICK_RETURNS && trick != TRICK_VOICE_MODEL && trick != TRICK_SQUATS)
		return;
	job->evictable = job->resident = true;
	job->need.slots = rng_chance(&w->rng, 500) ? 0 : 1;
	job->need.gpu_count = 1;
	job->hold_ms = 3600 * 1000;
	job->need.vram_bytes = vram_most(w) * 6 / 10;
	if (trick == TRICK_SQUATS) {
		job->min_residence_ms = YEAR_S * INT64_C(1000);
		job->need.vram_bytes = vram_most(w) * 3 / 10;
	}
}

static void drop_line(struct world *w, struct client *client)
{
	struct conn *conn = net_conn(w, client->conn);
	if (!conn || !conn->client_open)
		return;
	net_close_client(w, conn, true);
	client_lose_conn(w, client, conn->id);
}

bool trick_offered(struct world *w, struct client *client, struct job *job)
{
	if (plays(w, client, TRICK_NEVER_ACCEPTS)) {
		acted(w, client);
		return true;
	}
	if (plays(w, client, TRICK_CANCELS)) {
		acted(w, client);
		timer(w, client, TIMER_CANCEL, job, rng_between(&w->rng, 0, 50));
		return true;
	}
	if (plays(w, client, TRICK_FLAPS) && rng_chance(&w->rng, 900)) {
		acted(w, client);
		drop_line(w, client);
		return true;
	}
	if (plays(w, client, TRICK_STANDS)) {
		acted(w, client);
		timer(w, client, TIMER_ACCEPT, job, 0);
		client_pause(w, client, rng_between(&w->rng, 100, 15000));
		return true;
	}
	return false;
}

/* Goes as soon as somebody is inside: for good, to come back, or without a word. */
static void leave_guest(struct world *w, struct client *client, uint64_t lease)
{
	struct job *host = job_of_lease(w, lease);
	uint64_t way = rng_below(&w->inside_rng, 4);
	if (!host || host->client != (int)client->index || host->life != client->life ||
	    host->stage != JOB_HELD || host->done)
		return;
	acted(w, client);
	if (way == 0)
		drop_line(w, client);
	else
		client_release(w, host, way == 1);
}

static void take_in(struct world *w, struct client *client, const struct job *job)
{
	uint32_t count = job->guests;
	uint64_t host = job->host;
	if (count > 0)
		for (; count > 0; count--)
			client_ask_one(w, client); /* moves the jobs */
	else if (host != 0)
		leave_guest(w, client, host);
}

bool trick_ready(struct world *w, struct client *client, const struct job *job)
{
	if (job->binding > BIND_TAB || !plays(w, client, TRICK_FLAPS_READY) ||
	    !rng_chance(&w->inside_rng, 800))
		return false;
	acted(w, client);
	drop_line(w, client);
	return true;
}

void trick_granted(struct world *w, struct client *client, struct job *job)
{
	if (plays(w, client, TRICK_HOSTS) && client->state == CLIENT_READY) {
		take_in(w, client, job);
		return;
	}
	if (!plays(w, client, TRICK_LENDS) || client->state != CLIENT_READY)
		return;
	uint64_t uid = job->uid;
	client_ask_one(w, client); /* moves the jobs */
	client_set_timer(w, client, TIMER_LEND, uid, 100);
}

void trick_lent(struct world *w, struct client *client, struct job *job)
{
	if (!plays(w, client, TRICK_LENDS) || job->stage != JOB_HELD || job->done)
		return;
	acted(w, client);
	client_release(w, job, false);
}

/* Asked to give way: how it answers, by what it says and when. */
bool trick_asked(struct world *w, struct client *client, struct job *job, int64_t grace_ms)
{
	enum trick trick = w->healed ? TRICK_NONE : client->scenario->trick;
	if (trick == TRICK_IGNORES || (trick == TRICK_STAYS && job->host != 0)) {
		acted(w, client);
	} else if (trick == TRICK_RENEWS) {
		acted(w, client);
		timer(w, client, TIMER_RENEW, job, 100);
		timer(w, client, TIMER_YIELDING, job, grace_ms / 2);
	} else if (trick == TRICK_UNSTOPPABLE || trick == TRICK_TO_LIMIT || trick == TRICK_LIES) {
		acted(w, client);
		timer(w, client, TIMER_REQUEUE, job, grace_ms * 95 / 100);
	} else if (trick == TRICK_RETURNS || trick == TRICK_VOICE_MODEL || trick == TRICK_LOADS) {
		acted(w, client);
		timer(w, client, TIMER_REQUEUE, job, rng_between(&w->rng, 0, 20));
	} else {
		return false;
	}
	return true;
}

void trick_renewed(struct world *w, struct client *client, const struct job *job)
{
	if (plays(w, client, TRICK_RENEWS) && job->asked_to_yield)
		timer(w, client, TIMER_RENEW, job, 500);
}

bool trick_returns(const struct world *w, const struct client *client)
{
	return !w->healed && client->scenario->trick != TRICK_NONE && client->scenario->stays;
}
