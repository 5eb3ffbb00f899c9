/* client_inside: what clients load before they work, and whose guests they are. Called by
 * client_ask.c for new claims and timers, by client_hear.c for grants. Draws from numbers of its
 * own, and only where the scenario has such clients. */
#include "trick.h"
#include "world.h"

enum { READY_SLACK_MS = 40, HEALED_LOAD_MS = 2000, FOREVER_MS = 1000 * 1000 };

static bool offers_places(const struct world *w, const struct job *job, const struct job *other)
{
	(void)w;
	return other != job && other->guests > 0 && other->lease > 0 && !other->done &&
	       (other->stage == JOB_WAITING || other->stage == JOB_HELD);
}

/* One of those that offer places, the held ones rather; perhaps one that will refuse it. */
static const struct job *choose_host(struct world *w, const struct job *job)
{
	struct rng *rng = &w->inside_rng;
	const struct job *best = NULL;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		bool own = other->client == job->client;
		if (!offers_places(w, job, other) || other->client < 0)
			continue;
		if (!own && !other->guests_open && rng_chance(rng, 800))
			continue;
		if (!best || rng_chance(rng, best->stage == JOB_HELD ? 300 : 700))
			best = other;
	}
	return best;
}

static void draw_guest(struct world *w, const struct client *client, struct job *job)
{
	struct rng *rng = &w->inside_rng;
	const struct job *host = choose_host(w, job);
	bool stays = client->scenario->trick == TRICK_STAYS && !w->healed;
	if (!host)
		return;
	job->host = host->lease;
	job->parent = 0;
	job->guests = rng_chance(rng, 20); /* a guest that offers places is refused */
	job->need.gpu_count = rng_chance(rng, 900) ? 1 : job->need.gpu_count;
	job->need.gpu_mask = rng_chance(rng, 900) ? 0 : job->need.gpu_mask;
	if (rng_chance(rng, 600))
		job->need.vram_bytes = rng_chance(rng, 500) ? 0 : host->need.vram_bytes / 4;
	if (job->need.vram_bytes == 0 && job->need.slots == 0)
		job->need.slots = 1;
	if (rng_chance(rng, 200) || stays)
		job->uninterruptible_ms = FOREVER_MS;
	if (!stays && job->hold_ms > 60000)
		job->hold_ms = rng_between(rng, 50, 60000);
}

void client_draw_inside(struct world *w, const struct client *client, struct job *job)
{
	const struct client_scenario *scenario = client->scenario;
	struct rng *rng = &w->inside_rng;
	bool loads = rng_chance(rng, scenario->loads_permille);
	bool hosts = rng_chance(rng, scenario->hosts_permille);
	if (!w->healed && (scenario->trick == TRICK_LOADS || scenario->trick == TRICK_FLAPS_READY))
		loads = true;
	job->loads = loads;
	if (rng_chance(rng, scenario->guest_permille) ||
	    (scenario->trick >= TRICK_HOSTS && client->claim_count > 0))
		draw_guest(w, client, job);
	if (job->host != 0 || !(hosts || scenario->trick == TRICK_HOSTS))
		return;
	job->guests = (uint32_t)rng_between(rng, 1, 4);
	job->guests_open = rng_chance(rng, 500);
	if (rng_chance(rng, 300))
		job->uninterruptible_ms = rng_between(rng, 100, 30000);
}

/* Mostly in time; at the very limit, after it, or never. */
static int64_t draw_ready_ms(struct world *w)
{
	struct rng *rng = &w->inside_rng;
	int64_t most_ms = w->broker.config.load_ms_max;
	uint64_t kind = rng_below(rng, 10);
	if (w->healed)
		return rng_between(rng, 0, most_ms < HEALED_LOAD_MS ? most_ms : HEALED_LOAD_MS);
	if (kind < 5)
		return rng_between(rng, 0, most_ms < 20000 ? most_ms : 20000);
	if (kind < 7)
		return rng_between(rng, 0, most_ms);
	if (kind < 8)
		return most_ms - rng_between(rng, 0, READY_SLACK_MS);
	return kind < 9 ? most_ms + rng_between(rng, 0, 3000) : INT64_MAX;
}

/* Granted: the work begins when all is there, and takes as long as it would have. */
void client_schedule_ready(struct world *w, struct client *client, struct job *job)
{
	int64_t after_ms;
	if (!job->loads)
		return;
	after_ms = draw_ready_ms(w);
	if (!w->healed && client->scenario->trick == TRICK_LOADS) {
		after_ms = INT64_MAX;
		w->tally.tricks[TRICK_LOADS]++;
	}
	w->tally.loads++;
	job->ready_t = after_ms < INT64_MAX ? w->t + after_ms : INT64_MAX;
	if (after_ms < INT64_MAX)
		client_set_timer(w, client, TIMER_READY, job->uid, after_ms);
}

/* Some leave before it is there; who is never ready goes when its time is long over. */
int64_t client_work_ms(struct world *w, const struct job *job)
{
	int64_t most_ms = w->broker.config.load_ms_max;
	if (!job->loads)
		return job->hold_ms;
	if (rng_chance(&w->inside_rng, 100))
		return rng_between(&w->inside_rng, 0, most_ms);
	return job->hold_ms + (job->ready_t < INT64_MAX ? job->ready_t - w->t : most_ms);
}

/* A number that it makes up, or somebody else's. */
static void say_of_another(struct world *w, struct client *client, struct job *job)
{
	uint64_t index = rng_below(&w->inside_rng, w->jobs.active_count);
	const struct job *other = job_of(w, w->jobs.active[index]);
	struct envelope *envelope = client_act(w, client, job, EVENT_READY);
	if (!envelope)
		return;
	envelope->event.renew.lease = other->client != job->client ? other->lease : 1000000;
	net_up(w, envelope);
}

void client_say_ready(struct world *w, struct client *client, struct job *job)
{
	struct rng *rng = &w->inside_rng;
	int copies = rng_chance(rng, 150) ? 2 : 1;
	if (trick_ready(w, client, job))
		return;
	if (job->binding <= BIND_TAB && rng_chance(rng, 100))
		say_of_another(w, client, job);
	for (; copies > 0; copies--) {
		struct envelope *envelope = client_act(w, client, job, EVENT_READY);
		if (!envelope)
			return;
		envelope->event.renew.lease = job->binding <= BIND_TAB ? job->lease : 0;
		if (job->binding > BIND_TAB) {
			envelope->token = job->token;
			envelope->event.renew.token = &envelope->token;
		}
		net_up(w, envelope);
	}
	if (!w->healed && rng_chance(rng, 100)) /* and once more, later */
		client_set_timer(w, client, TIMER_READY, job->uid, rng_between(rng, 1, 30000));
}
