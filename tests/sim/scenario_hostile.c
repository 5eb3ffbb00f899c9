/* scenario_hostile: many clients, several slots and GPUs, and adversaries among honest clients.
 * Draws from random numbers of its own. */
#include <stdio.h>
#include <string.h>

#include "core/binding.h"
#include "scenario.h"

enum { UNKIND_GPUS_MAX = 8, UNKIND_SLOTS_MAX = 4 };

const char *trick_name(int trick)
{
	static const char *const names[TRICK_COUNT] = {
#define X(code, name) [code] = name,
		TRICK_TABLE(X)
#undef X
	};
	return trick >= 0 && trick < TRICK_COUNT ? names[trick] : "?";
}

static void draw_unkind_gpu(const struct scenario *scenario, struct gpu_config *ret_gpu,
			    struct rng *rng)
{
	scenario_draw_gpu(scenario, ret_gpu, rng);
	if (rng_chance(rng, 500))
		ret_gpu->slots = (uint32_t)rng_between(rng, 1, UNKIND_SLOTS_MAX);
}

static void name_gpus(struct core_config *config)
{
	for (uint32_t i = 0; i < config->gpu_count; i++)
		snprintf(config->gpus[i].name, sizeof config->gpus[i].name, "gpu%u", i);
}

void scenario_draw_machine(struct scenario *scenario, struct rng *rng)
{
	struct core_config *config = &scenario->config;
	scenario->war = rng_chance(rng, 300);
	scenario->or_new = rng_chance(rng, 300);
	scenario->strict = rng_chance(rng, scenario->war ? 500 : 150);
	scenario->uses_lend = !scenario->strict && rng_chance(rng, 400);
	scenario->calm |= rng_chance(rng, scenario->war ? 600 : 300);
	scenario->client_count =
		(unsigned)(rng_chance(rng, 80)    ? rng_between(rng, 13, SCENARIO_CLIENTS_MAX)
			   : rng_chance(rng, 300) ? rng_between(rng, 6, 12)
						  : rng_between(rng, 3, 6));
	config->gpu_count = scenario->strict || rng_chance(rng, 500) ? 1
			    : rng_chance(rng, 800) ? (uint32_t)rng_between(rng, 2, 4)
						   : (uint32_t)rng_between(rng, 5, UNKIND_GPUS_MAX);
	for (uint32_t i = 0; i < config->gpu_count && !scenario->strict; i++)
		draw_unkind_gpu(scenario, &config->gpus[i], rng);
	if (scenario->strict)
		config->gpus[0].slots = 1;
	name_gpus(config);
	if (!scenario->calm && rng_chance(rng, 300))
		scenario->every_ms[FAULT_REGPU] = rng_between(rng, 100, 900) * 1000;
	if (rng_chance(rng, 300))
		scenario->permille[FAULT_PIDFD] = (uint32_t)rng_between(rng, 100, 800);
}

void scenario_redraw_gpus(const struct scenario *scenario, struct core_config *config,
			  struct rng *rng)
{
	*config = scenario->config;
	if (rng_chance(rng, 300))
		config->gpu_count = (uint32_t)rng_between(rng, 1, UNKIND_GPUS_MAX);
	name_gpus(config);
	for (uint32_t i = 0; i < config->gpu_count; i++) {
		struct gpu_config *gpu = &config->gpus[i];
		if (gpu->slots == 0 || rng_chance(rng, 500))
			draw_unkind_gpu(scenario, gpu, rng);
	}
}

void scenario_widen_gpus(const struct scenario *scenario, struct core_config *config)
{
	*config = scenario->config;
	config->gpu_count = UNKIND_GPUS_MAX;
	name_gpus(config);
	for (uint32_t i = 0; i < config->gpu_count; i++) {
		config->gpus[i].slots = UNKIND_SLOTS_MAX;
		config->gpus[i].vram_bytes_total = 64 * scenario->vram_unit;
	}
}

static uint32_t slots_most(const struct scenario *scenario)
{
	uint32_t most = 1;
	for (uint32_t i = 0; i < scenario->config.gpu_count; i++)
		if (scenario->config.gpus[i].slots > most)
			most = scenario->config.gpus[i].slots;
	return most;
}

/* Classes never rest: each has two who hold until they are asked and come back at once. */
static void draw_warrior(struct client_scenario *client, unsigned index, struct rng *rng)
{
	memset(client->class_permille, 0, sizeof client->class_permille);
	client->class_permille[index % LEASE_CLASS_COUNT] = 1000;
	client->greedy = rng_chance(rng, 700);
	client->stays = rng_chance(rng, 500);
	client->claims_max = (unsigned)rng_between(rng, 2, 4);
	client->think_ms_min = 200;
	client->think_ms_max = 1000;
	client->hold_ms_max = rng_between(rng, 1, client->greedy ? 300 : 60) * 1000;
	client->resident_permille = client->gang_permille = 0;
	client->vram_permille = rng_chance(rng, 800) ? 0 : 300;
}

static void only_class(struct client_scenario *client, enum lease_class cls)
{
	memset(client->class_permille, 0, sizeof client->class_permille);
	client->class_permille[cls] = 1000;
}

static void make_greedy(struct client_scenario *client)
{
	client->greedy = client->stays = true;
	client->think_ms_min = 200;
	client->think_ms_max = 1000;
	client->hold_ms_max = 3600 * 1000;
}

/* Tricks about memory, which a strict scenario has none of. */
static bool is_about_memory(enum trick trick)
{
	return trick == TRICK_RETURNS || trick == TRICK_VOICE_MODEL || trick == TRICK_SQUATS ||
	       trick == TRICK_SETS || trick == TRICK_LENDS;
}

static bool needs_session(enum trick trick)
{
	return trick != TRICK_FLOODS && trick != TRICK_LIES && trick != TRICK_TO_LIMIT &&
	       trick != TRICK_SETS;
}

void scenario_equip(struct client_scenario *client, enum trick trick, struct rng *rng)
{
	client->trick = trick;
	client->think_ms_min = 200;
	if (client->think_ms_max > 5000)
		client->think_ms_max = 5000;
	client->no_wait_permille = 0;
	if (needs_session(trick) && client->binding > BIND_TAB)
		client->binding = rng_chance(rng, 500) ? BIND_NATIVE : BIND_TAB;
	client->browser |= client->binding == BIND_TAB;
	if (trick == TRICK_LIES || trick == TRICK_VOICE_MODEL ||
	    (trick <= TRICK_FLAPS && rng_chance(rng, 500)))
		only_class(client, LEASE_VOICE);
	if (trick == TRICK_LIES || trick == TRICK_TO_LIMIT || trick == TRICK_UNSTOPPABLE ||
	    trick == TRICK_RENEWS || trick == TRICK_LENDS || trick == TRICK_IGNORES)
		make_greedy(client);
	if (trick == TRICK_RETURNS || trick == TRICK_VOICE_MODEL || trick == TRICK_SQUATS) {
		client->resident_permille = 1000;
		client->stays = true;
		client->claims_max = 1;
	}
	if (trick == TRICK_NEVER_ACCEPTS || trick == TRICK_CANCELS)
		client->claims_max = (unsigned)rng_between(rng, 1, 6);
	if (trick == TRICK_LENDS)
		client->claims_max = 3;
	if (trick == TRICK_FLOODS) {
		client->claims_max = 24;
		client->hold_ms_max = 5000;
	}
	if (trick == TRICK_SETS)
		client->claims_max = 6;
	if (trick >= TRICK_LOADS) {
		make_greedy(client);
		client->claims_max = (unsigned)rng_between(rng, 1, 4);
	}
}

/* Everybody for himself, or a few users with many programs each. */
static void draw_principals(struct scenario *scenario, struct rng *rng)
{
	unsigned users =
		rng_chance(rng, 600) ? scenario->client_count : (unsigned)rng_between(rng, 1, 4);
	for (unsigned i = 0; i < scenario->client_count; i++)
		snprintf(scenario->clients[i].principal, SCENARIO_NAME_BYTES, "user:%u", i % users);
}

static void name_clients(struct scenario *scenario)
{
	for (unsigned i = 0; i < scenario->client_count; i++) {
		struct client_scenario *client = &scenario->clients[i];
		snprintf(client->name, sizeof client->name, "%s-%u",
			 client->trick ? trick_name((int)client->trick)
				       : binding_name((int)client->binding),
			 i);
	}
}

void scenario_draw_tricks(struct scenario *scenario, enum trick only, struct rng *rng)
{
	bool has_slots = rng_chance(rng, 600), resides = !scenario->strict && rng_chance(rng, 500);
	uint32_t evil_permille = (uint32_t)rng_between(rng, 0, 500);
	for (unsigned i = 0; i < scenario->client_count; i++) {
		struct client_scenario *client = &scenario->clients[i];
		if (scenario->war)
			draw_warrior(client, i, rng);
		if (has_slots)
			client->slots_max = (unsigned)rng_between(rng, 1, slots_most(scenario));
		if (resides)
			client->residence_ms_max = rng_between(rng, 0, 120) * 1000;
		if (!rng_chance(rng, evil_permille))
			continue;
		enum trick trick = (enum trick)rng_between(rng, 1, TRICK_STANDS);
		if (only != TRICK_NONE)
			trick = only;
		if (!scenario->strict || !is_about_memory(trick))
			scenario_equip(client, trick, rng);
	}
	name_clients(scenario);
	draw_principals(scenario, rng);
}
