/* client_park: jobs that can be frozen. One that is asked to give way, or does so of itself, stops
 * computing, keeps its memory and asks for its turn again by a claim of its own (docs/states.md,
 * Parked). Called by client_ask.c and client_hear.c; draws from numbers of its own. */
#include "world.h"

enum { WATCH_MS_MAX = 5000, LEFT_MS_MIN = 50 };

static void want_timer(struct world *w, struct client *client, enum timer what,
		       const struct want *want, int64_t after_ms)
{
	client_set_timer(w, client, what, want->uid, after_ms);
}

static bool is_held(const struct want *want)
{
	return want->stage == WANT_HELD && !want->done && !want->stopping;
}

static bool is_own(const struct want *want, const struct want *other)
{
	return want->client == other->client && want->life == other->life;
}

/* The claim for its turn, or NULL. */
static struct want *turn_of(struct world *w, const struct want *lease)
{
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (want->resumes == lease->lease && is_own(want, lease) &&
		    want->stage != WANT_OVER)
			return want;
	}
	return NULL;
}

static struct want *lease_of(struct world *w, const struct want *turn)
{
	struct want *lease = want_of_lease(w, turn->resumes);
	return lease && is_own(turn, lease) ? lease : NULL;
}

/* Moves the wants. */
static void ask_turn(struct world *w, struct client *client, uint64_t uid)
{
	struct want *turn = want_new(w, (int)client->index);
	struct want *lease = want_of(w, uid);
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
	want_timer(w, client, TIMER_PARKED, turn, rng_between(&w->park_rng, 100, WATCH_MS_MAX));
	if (!client_ask_for(w, client, turn))
		want_over(w, turn);
}

bool client_may_park(const struct world *w, const struct client *client, const struct want *want)
{
	return client->plan->park_permille > 0 && !w->healed && client->state == CLIENT_READY &&
	       is_held(want) && want->uses && want->uses_need.slots > 0 && !want->resident &&
	       want->parked_slots == 0 && want->resumes == 0;
}

void client_park(struct world *w, struct client *client, struct want *want)
{
	uint64_t uid = want->uid;
	want->parked_slots = want->uses_need.slots;
	want->uses_need.slots = 0; /* it is frozen before it says so */
	want->work_left_ms = want->hold_ms - (w->t - want->granted_t);
	trace_line(&w->trace, "want %llu is frozen", (unsigned long long)uid);
	want_timer(w, client, TIMER_PARKED, want, rng_between(&w->park_rng, 500, WATCH_MS_MAX));
	ask_turn(w, client, uid);
}

/* The frozen one is asked for its memory, or is over: nobody waits for its turn any more. */
void client_unpark(struct world *w, struct client *client, struct want *want)
{
	struct want *turn = turn_of(w, want);
	want->parked_slots = 0;
	if (turn)
		client_cancel(w, client, turn);
}

/* Its turn was refused, ran out of time, or got lost. */
static void watch_lease(struct world *w, struct client *client, struct want *want)
{
	if (want->parked_slots == 0 || !is_held(want))
		return;
	want_timer(w, client, TIMER_PARKED, want, rng_between(&w->park_rng, 500, WATCH_MS_MAX));
	if (client->state != CLIENT_READY || turn_of(w, want))
		return;
	if (w->healed || rng_chance(&w->park_rng, 300))
		client_release(w, want, false);
	else
		ask_turn(w, client, want->uid);
}

static void watch_turn(struct world *w, struct client *client, struct want *turn)
{
	const struct want *lease = lease_of(w, turn);
	want_timer(w, client, TIMER_PARKED, turn, rng_between(&w->park_rng, 500, WATCH_MS_MAX));
	if (lease && is_held(lease) && lease->parked_slots > 0)
		return;
	if (turn->stage == WANT_HELD)
		client_release(w, turn, false);
	else
		client_cancel(w, client, turn);
}

void client_watch_parked(struct world *w, struct client *client, struct want *want)
{
	if (want->resumes != 0)
		watch_turn(w, client, want);
	else
		watch_lease(w, client, want);
}

/* Asked for its memory meanwhile it will not go on: then the turn is a lease like any other. */
void client_resume(struct world *w, struct client *client, struct want *turn)
{
	struct want *lease = lease_of(w, turn);
	turn->stage = WANT_HELD;
	if (!lease || !is_held(lease) || lease->parked_slots == 0 || lease->asked_to_yield) {
		client_release(w, turn, false);
		return;
	}
	want_over(w, turn);
	lease->parked_slots = 0;
	lease->granted_t = w->t;
	lease->hold_ms = lease->work_left_ms > LEFT_MS_MIN ? lease->work_left_ms : LEFT_MS_MIN;
	w->tally.resumes++;
	trace_line(&w->trace, "want %llu goes on", (unsigned long long)lease->uid);
	want_timer(w, client, TIMER_RELEASE, lease, lease->hold_ms);
}

/* It can not be frozen: it goes, as it was asked to. */
void client_park_refused(struct world *w, struct want *turn)
{
	struct want *lease = lease_of(w, turn);
	want_over(w, turn);
	if (lease && is_held(lease) && lease->parked_slots > 0)
		client_release(w, lease, lease->asked_to_yield);
}

void client_turn_unread(struct world *w, const struct want *turn)
{
	struct want *lease = turn->resumes != 0 ? lease_of(w, turn) : NULL;
	if (lease && lease->parked_slots > 0)
		lease->uses_need.slots = 0;
}
