/* client_gateway: the gateway's claims. A model in a server's memory outlives the broker: the
 * gateway asks for it again, late or never; a server gives memory back in its own time. Called by
 * client_ask.c and client_hear.c. */
#include "world.h"

enum { ASK_AGAIN_PERMILLE = 850 };

void client_gateway_draw(struct want *want)
{
	want->need.gpu_count = 1;
	want->need.all_slots = false;
	if (!want->resident)
		return;
	want->need.slots = 0;
	want->has_request_id = want->preemptible = true;
	want->no_wait = false;
	want->timeout_ms = -1;
}

/* Some servers are slower than they may be. */
static void end_within(struct world *w, struct client *client, struct want *want, int64_t most_ms)
{
	if (want->stopping)
		return;
	want->done = want->stage == WANT_HELD;
	want->stopping = true;
	client_set_timer(w, client, TIMER_STOPPED, want->uid, rng_between(&w->rng, 0, most_ms));
}

void client_gateway_unload(struct world *w, struct client *client, struct want *want)
{
	end_within(w, client, want, w->broker.config.unload_ms_max * 12 / 10);
}

void client_gateway_lost(struct world *w, struct client *client, struct want *want)
{
	int64_t linger_ms = w->broker.config.restart_linger_ms;
	const struct journal_claim *row = journal_claim(&w->journal, want->lease);
	if (want->stage == WANT_OVER || want->stopping)
		return;
	/* The new gateway knows what it had by the journal. */
	if (want->stage == WANT_HELD &&
	    (!row || !row->live || !rng_chance(&w->rng, ASK_AGAIN_PERMILLE)))
		end_within(w, client, want, linger_ms + w->broker.config.unload_ms_max);
	else
		client_set_timer(w, client, TIMER_RETRY, want->uid,
				 rng_between(&w->rng, 50, linger_ms * 12 / 10));
}
