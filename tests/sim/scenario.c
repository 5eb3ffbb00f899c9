/* scenario: draws one seed's machine, clients and faults. All probabilities are here. */
#include "scenario.h"

#include <stdio.h>
#include <string.h>

enum { USUAL_CLIENTS_MAX = 12 };

const char *fault_name(int fault)
{
	static const char *const names[FAULT_COUNT] = {
#define X(code, name) [code] = name,
		FAULT_TABLE(X)
#undef X
	};
	return fault >= 0 && fault < FAULT_COUNT ? names[fault] : "?";
}

void scenario_draw_gpu(const struct scenario *scenario, struct gpu_config *ret_gpu, struct rng *rng)
{
	ret_gpu->slots =
		scenario->strict || rng_chance(rng, 700) ? 1 : (uint32_t)rng_between(rng, 2, 3);
	ret_gpu->vram_known = rng_chance(rng, 700);
	ret_gpu->vram_bytes_total =
		ret_gpu->vram_known ? (uint64_t)rng_between(rng, 8, 24) * scenario->vram_unit : 0;
}

static void draw_gpus(struct scenario *scenario, struct rng *rng)
{
	struct core_config *config = &scenario->config;
	config->gpu_count =
		scenario->strict || rng_chance(rng, 500) ? 1 : (uint32_t)rng_between(rng, 2, 4);
	scenario->vram_unit = UINT64_C(1) << 30;
	for (uint32_t i = 0; i < config->gpu_count; i++) {
		struct gpu_config *gpu = &config->gpus[i];
		memset(gpu, 0, sizeof *gpu);
		snprintf(gpu->name, sizeof gpu->name, "gpu%u", i);
		scenario_draw_gpu(scenario, gpu, rng);
	}
}

void scenario_redraw_config(const struct scenario *scenario, struct core_config *config,
			    struct rng *rng)
{
	*config = scenario->config;
	if (rng_chance(rng, 300))
		return; /* reloaded, but nothing changed */
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		config->classes[cls].hold_ms_max = rng_between(rng, 5, 60) * 1000;
	config->quantum_ms = rng_between(rng, 5, 15) * 1000;
	config->grace_ms = rng_between(rng, 300, 4000);
	config->min_run_ms = rng_between(rng, 0, 3000);
}

static void draw_timing(struct scenario *scenario, struct rng *rng)
{
	struct core_config *config = &scenario->config;
	core_config_defaults(config);
	if (rng_chance(rng, 500))
		scenario_redraw_config(scenario, config, rng);
	if (rng_chance(rng, 200)) {
		config->queue_count_max = (uint32_t)rng_between(rng, 4, 12);
		config->queue_per_session_max = (uint32_t)rng_between(rng, 1, 3);
	}
}

static void draw_classes(struct client_scenario *client, uint32_t voice_permille, struct rng *rng)
{
	memset(client->class_permille, 0, sizeof client->class_permille);
	if (rng_chance(rng, 700)) { /* most clients keep to one class */
		enum lease_class cls =
			(enum lease_class)rng_between(rng, LEASE_CHAT, LEASE_BACKGROUND);
		client->class_permille[rng_chance(rng, voice_permille) ? LEASE_VOICE : cls] = 1000;
		return;
	}
	client->class_permille[LEASE_VOICE] = voice_permille / 2;
	client->class_permille[LEASE_CHAT] = 300;
	client->class_permille[LEASE_NORMAL] = 200;
	client->class_permille[LEASE_BACKGROUND] = 500 - voice_permille / 2;
}

static void draw_client(struct scenario *scenario, struct client_scenario *client,
			uint32_t load_permille, uint32_t voice_permille, struct rng *rng)
{
	static const char *const kinds[BIND_HTTP + 1] = {"native", "tab", "stream", "http"};
	client->binding = (enum binding)rng_below(rng, BIND_HTTP + 1);
	client->browser = client->binding == BIND_TAB || rng_chance(rng, 300);
	unsigned index = (unsigned)(client - scenario->clients);
	snprintf(client->name, sizeof client->name, "%s-%u", kinds[client->binding], index);
	client->mute = rng_chance(rng, 250);
	client->deaf = rng_chance(rng, 300);
	client->greedy = rng_chance(rng, load_permille);
	client->slow = rng_chance(rng, 400);
	client->claims_max = rng_chance(rng, 700) ? 1 : (unsigned)rng_between(rng, 2, 4);
	client->slots_max = 1;
	client->think_ms_min = 300;
	client->think_ms_max = client->greedy ? 500 : rng_between(rng, 1, 120) * 1000;
	client->hold_ms_max = rng_between(rng, 1, client->greedy ? 200 : 40) * 1000;
	client->no_wait_permille = rng_chance(rng, 300) ? 200 : 0;
	client->resident_permille = scenario->strict || rng_chance(rng, 700) ? 0 : 500;
	client->gang_permille = scenario->config.gpu_count > 1 && rng_chance(rng, 300) ? 400 : 0;
	client->vram_permille = scenario->strict || rng_chance(rng, 500) ? 0 : 500;
	draw_classes(client, voice_permille, rng);
}

/* In some seeds streams are the gateway's: turns that it forwards, and models in memory. */
static void draw_gateways(struct scenario *scenario)
{
	for (unsigned i = 0; i < scenario->client_count; i++) {
		struct client_scenario *client = &scenario->clients[i];
		if (client->binding != BIND_STREAM || client->browser)
			continue;
		client->binding = BIND_PROXIED;
		snprintf(client->name, sizeof client->name, "gateway-%u", i);
		client->resident_permille = scenario->strict ? 0 : 700;
	}
}

/* A few clients of one class that never leave the GPU alone, and others who must get their turn. */
static void draw_storm(struct scenario *scenario, enum lease_class cls, struct rng *rng)
{
	unsigned greedy_count = scenario->client_count / 2 + 1;
	for (unsigned i = 0; i < scenario->client_count; i++) {
		struct client_scenario *client = &scenario->clients[i];
		memset(client->class_permille, 0, sizeof client->class_permille);
		enum lease_class other =
			(enum lease_class)rng_between(rng, LEASE_NORMAL, LEASE_BACKGROUND);
		client->class_permille[i < greedy_count ? cls : other] = 1000;
		client->greedy = i < greedy_count;
		client->claims_max = 1;
		client->stays = true;
		client->slots_max = 1;
		client->think_ms_min = 300;
		client->think_ms_max = client->greedy ? 100 : 30000;
		client->hold_ms_max = client->greedy ? 300000 : rng_between(rng, 1, 60) * 1000;
	}
	bool is_long = rng_chance(rng, 500);
	for (int i = 0; i < LEASE_CLASS_COUNT; i++)
		scenario->config.classes[i].hold_ms_max =
			rng_between(rng, is_long ? 30 : 5, is_long ? 60 : 20) * 1000;
}

/* Faults that strike while a client acts: in `permille` of the acts. */
static void draw_act_faults(struct scenario *scenario, struct rng *rng)
{
	static const struct {
		enum fault fault;
		uint32_t permille_max;
	} rows[] = {
		{FAULT_DELAY, 100}, {FAULT_DUPLICATE, 500}, {FAULT_MISSED_ACK, 150},
		{FAULT_MUTE, 500},  {FAULT_CANCEL, 300},    {FAULT_IGNORE_REVOKE, 500},
		{FAULT_STUCK, 900},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].permille_max > 0 && rng_chance(rng, 550))
			scenario->permille[rows[i].fault] =
				(uint32_t)rng_between(rng, 10, rows[i].permille_max);
	}
}

/* Faults that strike at their own times. `stops`: they stop the clock of the bounds (judge_told.c).
 */
static void draw_timed_faults(struct scenario *scenario, struct rng *rng)
{
	static const struct {
		enum fault fault;
		bool stops;
		int lo_s, hi_s;
	} rows[] = {
		{FAULT_CUT, false, 20, 600},        {FAULT_PAUSE, false, 60, 900},
		{FAULT_KILL, false, 60, 900},       {FAULT_RELOAD, false, 30, 600},
		{FAULT_ADMIN, true, 60, 900},       {FAULT_SAMPLE_UNKNOWN, true, 60, 900},
		{FAULT_UNHEALTHY, true, 200, 1500}, {FAULT_UNMANAGED, true, 100, 900},
		{FAULT_CONFIG, true, 100, 900},     {FAULT_SUSPEND, true, 300, 1800},
		{FAULT_STALL, true, 100, 900},      {FAULT_CRASH, true, 60, 900},
		{FAULT_REBOOT, true, 600, 2400},    {FAULT_STOP, true, 200, 1500},
		{FAULT_DISK_FULL, true, 300, 1500}, {FAULT_IO_ERROR, true, 30, 600},
		{FAULT_FDS, true, 200, 1200},       {FAULT_WALL, false, 100, 1500},
		{FAULT_STALLS, true, 200, 1500},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if ((scenario->calm && rows[i].stops) || !rng_chance(rng, 400))
			continue;
		scenario->every_ms[rows[i].fault] =
			rng_between(rng, rows[i].lo_s, rows[i].hi_s) * 1000;
	}
}

void scenario_draw(struct scenario *scenario, enum trick trick, bool gateways, struct rng *rng,
		   struct rng *more)
{
	memset(scenario, 0, sizeof *scenario);
	scenario->calm = rng_chance(rng, 350);
	scenario->strict = rng_chance(rng, scenario->calm ? 700 : 200);
	scenario->close_is_told = rng_chance(rng, 500);
	scenario->uses_yielding = rng_chance(rng, 300);
	scenario->tabs_seen = rng_chance(rng, 500);
	scenario->uses_more = rng_chance(rng, 200);
	scenario->uses_lend = !scenario->strict && rng_chance(rng, 500);
	draw_timing(scenario, rng);
	draw_gpus(scenario, rng);
	scenario->client_count =
		(unsigned)rng_between(rng, 2, rng_chance(rng, 200) ? USUAL_CLIENTS_MAX : 6);
	scenario->hostile = rng_chance(more, 500) || trick != TRICK_NONE;
	scenario->calm |= trick != TRICK_NONE;
	if (scenario->hostile)
		scenario_draw_machine(scenario, more);
	uint32_t load = (uint32_t)rng_between(rng, 0, 900);
	uint32_t voice = rng_chance(rng, 400) ? 0 : (uint32_t)rng_between(rng, 50, 600);
	for (unsigned i = 0; i < scenario->client_count; i++)
		draw_client(scenario, &scenario->clients[i], load, voice, rng);
	if (gateways)
		draw_gateways(scenario);
	if (scenario->strict && scenario->calm && rng_chance(rng, 400))
		draw_storm(scenario, rng_chance(rng, 500) ? LEASE_VOICE : LEASE_CHAT, rng);
	draw_act_faults(scenario, rng);
	draw_timed_faults(scenario, rng);
	if (scenario->hostile)
		scenario_draw_tricks(scenario, trick, more);
}
