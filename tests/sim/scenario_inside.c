/* scenario_inside: which clients load models first, which host others in their lease, and which
 * want to be guests; and the adversaries of both. Draws from random numbers of its own. */
#include <stdio.h>

#include "scenario.h"

enum { LOAD_MS_MAX = 120000 };

static void draw_trick(struct scenario *scenario, struct client_scenario *client, struct rng *rng)
{
	enum trick trick = (enum trick)rng_between(rng, TRICK_LOADS, TRICK_COUNT - 1);
	bool loads = trick == TRICK_LOADS || trick == TRICK_FLAPS_READY;
	if (client->trick != TRICK_NONE || (loads ? !scenario->uses_loads : !scenario->uses_guests))
		return;
	scenario_equip(client, trick, rng);
	snprintf(client->name, sizeof client->name, "%s-%u", trick_name((int)trick),
		 (unsigned)(client - scenario->clients));
}

static void draw_client(struct scenario *scenario, struct client_scenario *client, struct rng *rng)
{
	if (scenario->uses_loads && rng_chance(rng, 600))
		client->loads_permille = (uint32_t)rng_between(rng, 200, 1000);
	if (scenario->uses_guests && rng_chance(rng, 400))
		client->hosts_permille = (uint32_t)rng_between(rng, 200, 1000);
	if (scenario->uses_guests && rng_chance(rng, 700))
		client->guest_permille = (uint32_t)rng_between(rng, 200, 900);
	if (client->guest_permille > 0 && client->claims_max < 3)
		client->claims_max = 3;
}

static bool has_gateways(const struct scenario *scenario)
{
	for (unsigned i = 0; i < scenario->client_count; i++)
		if (scenario->clients[i].binding == BIND_PROXIED)
			return true;
	return false;
}

/* In most of these models alone have memory, and many requests use what is there. */
static void draw_switches(struct scenario *scenario, struct rng *rng)
{
	scenario->config.min_residence_ms_max = rng_between(rng, 1000, 60000);
	scenario->switches = rng_chance(rng, 700);
	if (!scenario->switches)
		return;
	scenario->uses_more = false;
	for (unsigned i = 0; i < scenario->client_count; i++) {
		struct client_scenario *client = &scenario->clients[i];
		client->vram_permille = 0;
		if (client->binding != BIND_PROXIED) {
			client->resident_permille = 0;
			continue;
		}
		client->resident_permille = (uint32_t)rng_between(rng, 50, 300);
		client->claims_max = (unsigned)rng_between(rng, 3, 10);
		client->think_ms_min = rng_between(rng, 20, 500);
		client->think_ms_max = rng_between(rng, 500, 5000);
		client->hold_ms_max = rng_between(rng, 500, 20000);
	}
}

/* The whole scenario of a seed without either stays what it was. */
void scenario_draw_inside(struct scenario *scenario, struct rng *rng)
{
	bool asked_for = false;
	for (unsigned i = 0; i < scenario->client_count; i++)
		asked_for |= scenario->clients[i].trick >= TRICK_LOADS;
	scenario->uses_loads = rng_chance(rng, 400) || asked_for;
	scenario->uses_guests = rng_chance(rng, 400) || asked_for;
	if (scenario->uses_loads && rng_chance(rng, 700))
		scenario->config.load_ms_max = rng_between(rng, 3000, LOAD_MS_MAX);
	if (has_gateways(scenario) && !scenario->strict)
		draw_switches(scenario, rng);
	uint32_t evil_permille = scenario->hostile ? (uint32_t)rng_between(rng, 0, 400) : 0;
	for (unsigned i = 0; i < scenario->client_count; i++) {
		draw_client(scenario, &scenario->clients[i], rng);
		if (rng_chance(rng, evil_permille))
			draw_trick(scenario, &scenario->clients[i], rng);
	}
}

void scenario_draw_park(struct scenario *scenario, struct rng *rng)
{
	if (!rng_chance(rng, 400))
		return;
	for (unsigned i = 0; i < scenario->client_count; i++) {
		struct client_scenario *client = &scenario->clients[i];
		if (client->binding <= BIND_TAB && rng_chance(rng, 600))
			client->park_permille = (uint32_t)rng_between(rng, 200, 1000);
	}
}

void scenario_draw_leftovers(struct scenario *scenario, struct rng *rng)
{
	if (!rng_chance(rng, 300) || scenario->switches)
		return;
	for (unsigned i = 0; i < scenario->client_count; i++)
		if (rng_chance(rng, 600))
			scenario->clients[i].leaves_permille = (uint32_t)rng_between(rng, 100, 800);
}

void scenario_draw_observe(struct scenario *scenario, struct rng *rng)
{
	if (!rng_chance(rng, 200))
		return;
	/* Nothing would stop him before the broker's memory is full, and all look at each other. */
	for (unsigned i = 0; i < scenario->client_count; i++)
		if (scenario->clients[i].claims_max > 6 ||
		    scenario->clients[i].trick == TRICK_LENDS)
			return;
	scenario->config.observe = rng_chance(rng, 500);
	if (!scenario->calm)
		scenario->every_ms[FAULT_OBSERVE] = rng_between(rng, 60, 600) * 1000;
}
