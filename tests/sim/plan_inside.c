/* plan_inside: who brings models in first, who takes others into its lease, and who wants in; and
 * the adversaries of both. Called by world.c, with numbers of its own. */
#include <stdio.h>

#include "plan.h"

enum { LOAD_MS_MAX = 120000 };

static void draw_trick(struct plan *plan, struct client_plan *client, struct rng *rng)
{
	enum trick trick = (enum trick)rng_between(rng, TRICK_LOADS, TRICK_COUNT - 1);
	bool loads = trick == TRICK_LOADS || trick == TRICK_FLAPS_READY;
	if (client->trick != TRICK_NONE || (loads ? !plan->uses_loads : !plan->uses_guests))
		return;
	plan_equip(client, trick, rng);
	snprintf(client->name, sizeof client->name, "%s-%u", trick_name((int)trick),
		 (unsigned)(client - plan->clients));
}

static void draw_client(struct plan *plan, struct client_plan *client, struct rng *rng)
{
	if (plan->uses_loads && rng_chance(rng, 600))
		client->loads_permille = (uint32_t)rng_between(rng, 200, 1000);
	if (plan->uses_guests && rng_chance(rng, 400))
		client->hosts_permille = (uint32_t)rng_between(rng, 200, 1000);
	if (plan->uses_guests && rng_chance(rng, 700))
		client->guest_permille = (uint32_t)rng_between(rng, 200, 900);
	if (client->guest_permille > 0 && client->claims_max < 3)
		client->claims_max = 3;
}

/* The whole plan of a seed without either stays what it was. */
void plan_draw_inside(struct plan *plan, struct rng *rng)
{
	bool asked_for = false;
	for (unsigned i = 0; i < plan->client_count; i++)
		asked_for |= plan->clients[i].trick >= TRICK_LOADS;
	plan->uses_loads = rng_chance(rng, 400) || asked_for;
	plan->uses_guests = rng_chance(rng, 400) || asked_for;
	if (plan->uses_loads && rng_chance(rng, 700))
		plan->config.load_ms_max = rng_between(rng, 3000, LOAD_MS_MAX);
	uint32_t evil_permille = plan->unkind ? (uint32_t)rng_between(rng, 0, 400) : 0;
	for (unsigned i = 0; i < plan->client_count; i++) {
		draw_client(plan, &plan->clients[i], rng);
		if (rng_chance(rng, evil_permille))
			draw_trick(plan, &plan->clients[i], rng);
	}
}

void plan_draw_park(struct plan *plan, struct rng *rng)
{
	if (!rng_chance(rng, 400))
		return;
	for (unsigned i = 0; i < plan->client_count; i++) {
		struct client_plan *client = &plan->clients[i];
		if (client->binding <= BIND_TAB && rng_chance(rng, 600))
			client->park_permille = (uint32_t)rng_between(rng, 200, 1000);
	}
}

void plan_draw_leftovers(struct plan *plan, struct rng *rng)
{
	if (!rng_chance(rng, 300))
		return;
	for (unsigned i = 0; i < plan->client_count; i++)
		if (rng_chance(rng, 600))
			plan->clients[i].leaves_permille = (uint32_t)rng_between(rng, 100, 800);
}

void plan_draw_observe(struct plan *plan, struct rng *rng)
{
	if (!rng_chance(rng, 200))
		return;
	/* Nothing would stop him before the broker's memory is full, and all look at each other. */
	for (unsigned i = 0; i < plan->client_count; i++)
		if (plan->clients[i].claims_max > 6 || plan->clients[i].trick == TRICK_LENDS)
			return;
	plan->config.observe = rng_chance(rng, 500);
	if (!plan->calm)
		plan->every_ms[FAULT_OBSERVE] = rng_between(rng, 60, 600) * 1000;
}
