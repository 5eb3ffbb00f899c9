/* client_inside: what clients load before they work, and whose guests they are. Called by
 * client_ask.c for new claims and timers, by client_hear.c for grants. Draws from numbers of its
 * own, and only where the plan has such clients. */
#include "trick.h"
#include "world.h"

enum { READY_SLACK_MS = 40, HEALED_LOAD_MS = 2000, FOREVER_MS = 1000 * 1000 };

static bool offers_places(const struct world *w, const struct want *want, const struct want *other)
{
	(void)w;
	return other != want && other->guests > 0 && other->lease > 0 && !other->done &&
	       (other->stage == WANT_WAITING || other->stage == WANT_HELD);
}

/* One of those that offer places, the held ones rather; perhaps one that will refuse it. */
static const struct want *choose_host(struct world *w, const struct want *want)
{
	struct rng *rng = &w->inside_rng;
	const struct want *best = NULL;
	for (size_t i = 0; i < w->wants.active_count; i++) {
		const struct want *other = want_of(w, w->wants.active[i]);
		bool own = other->client == want->client;
		if (!offers_places(w, want, other) || other->client < 0)
			continue;
		if (!own && !other->guests_open && rng_chance(rng, 800))
			continue;
		if (!best || rng_chance(rng, best->stage == WANT_HELD ? 300 : 700))
			best = other;
	}
	return best;
}

static void draw_guest(struct world *w, const struct client *client, struct want *want)
{
	struct rng *rng = &w->inside_rng;
	const struct want *host = choose_host(w, want);
	bool stays = client->plan->trick == TRICK_STAYS && !w->healed;
	if (!host)
		return;
	want->host = host->lease;
	want->parent = 0;
	want->guests = rng_chance(rng, 20); /* a guest that offers places is refused */
	want->need.gpu_count = rng_chance(rng, 900) ? 1 : want->need.gpu_count;
	want->need.gpu_mask = rng_chance(rng, 900) ? 0 : want->need.gpu_mask;
	if (rng_chance(rng, 600))
		want->need.vram_bytes = rng_chance(rng, 500) ? 0 : host->need.vram_bytes / 4;
	if (want->need.vram_bytes == 0 && want->need.slots == 0)
		want->need.slots = 1;
	if (rng_chance(rng, 200) || stays)
		want->uninterruptible_ms = FOREVER_MS;
	if (!stays && want->hold_ms > 60000)
		want->hold_ms = rng_between(rng, 50, 60000);
}

void client_draw_inside(struct world *w, const struct client *client, struct want *want)
{
	const struct client_plan *plan = client->plan;
	struct rng *rng = &w->inside_rng;
	bool loads = rng_chance(rng, plan->loads_permille);
	bool hosts = rng_chance(rng, plan->hosts_permille);
	if (!w->healed && (plan->trick == TRICK_LOADS || plan->trick == TRICK_FLAPS_READY))
		loads = true;
	want->loads = loads;
	if (rng_chance(rng, plan->guest_permille) ||
	    (plan->trick >= TRICK_HOSTS && client->claim_count > 0))
		draw_guest(w, client, want);
	if (want->host != 0 || !(hosts || plan->trick == TRICK_HOSTS))
		return;
	want->guests = (uint32_t)rng_between(rng, 1, 4);
	want->guests_open = rng_chance(rng, 500);
	if (rng_chance(rng, 300))
		want->uninterruptible_ms = rng_between(rng, 100, 30000);
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
void client_plan_ready(struct world *w, struct client *client, struct want *want)
{
	int64_t after_ms;
	if (!want->loads)
		return;
	after_ms = draw_ready_ms(w);
	if (!w->healed && client->plan->trick == TRICK_LOADS) {
		after_ms = INT64_MAX;
		w->tally.tricks[TRICK_LOADS]++;
	}
	w->tally.loads++;
	want->ready_t = after_ms < INT64_MAX ? w->t + after_ms : INT64_MAX;
	if (after_ms < INT64_MAX)
		client_set_timer(w, client, TIMER_READY, want->uid, after_ms);
}

/* Some leave before it is there; who is never ready goes when its time is long over. */
int64_t client_work_ms(struct world *w, const struct want *want)
{
	int64_t most_ms = w->broker.config.load_ms_max;
	if (!want->loads)
		return want->hold_ms;
	if (rng_chance(&w->inside_rng, 100))
		return rng_between(&w->inside_rng, 0, most_ms);
	return want->hold_ms + (want->ready_t < INT64_MAX ? want->ready_t - w->t : most_ms);
}

/* A number that it makes up, or somebody else's. */
static void say_of_another(struct world *w, struct client *client, struct want *want)
{
	uint64_t index = rng_below(&w->inside_rng, w->wants.active_count);
	const struct want *other = want_of(w, w->wants.active[index]);
	struct letter *letter = client_act(w, client, want, EVENT_READY);
	if (!letter)
		return;
	letter->event.renew.lease = other->client != want->client ? other->lease : 1000000;
	net_up(w, letter);
}

void client_say_ready(struct world *w, struct client *client, struct want *want)
{
	struct rng *rng = &w->inside_rng;
	int copies = rng_chance(rng, 150) ? 2 : 1;
	if (trick_ready(w, client, want))
		return;
	if (want->binding <= BIND_TAB && rng_chance(rng, 100))
		say_of_another(w, client, want);
	for (; copies > 0; copies--) {
		struct letter *letter = client_act(w, client, want, EVENT_READY);
		if (!letter)
			return;
		letter->event.renew.lease = want->binding <= BIND_TAB ? want->lease : 0;
		if (want->binding > BIND_TAB) {
			letter->token = want->token;
			letter->event.renew.token = &letter->token;
		}
		net_up(w, letter);
	}
	if (!w->healed && rng_chance(rng, 100)) /* and once more, later */
		client_set_timer(w, client, TIMER_READY, want->uid, rng_between(rng, 1, 30000));
}
