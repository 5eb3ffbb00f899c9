/* scene: the small worlds that are searched, and what is configured in them: few ticks for
 * everything, so that all deadlines come within a short path. */
#include "scene.h"

#include <assert.h>

#define GIB      ((uint64_t)1 << 30)
#define TICKS(n) ((n)*TICK_MS)

#define USUAL (MAY_CANCEL | MAY_REQUEUE)

const struct scene scenes[] = {
	{
		.name = "turns",
		.what = "one GPU, one turn: voice, chat and a background job over HTTP",
		.gpu_count = 1,
		.slots = 1,
		.share = 20,
		.count = 3,
		.cast = {{"voice", BIND_TAB, LEASE_VOICE, 1, 1, 0, USUAL, 2, .forever = true},
			 {"chat", BIND_NATIVE, LEASE_CHAT, 1, 1, 0, USUAL | MAY_STRETCH, 2,
			  .forever = true, .accepts = true},
			 {"job", BIND_HTTP, LEASE_BACKGROUND, 1, 1, 0, 0, 1, .forever = true}},
	},
	{
		.name = "slots",
		.what = "one GPU of two turns, one client that needs both; a reload takes one away",
		.gpu_count = 1,
		.slots = 2,
		.slots_later = 1,
		.share = 15,
		.count = 3,
		.cast = {{"voice", BIND_TAB, LEASE_VOICE, 1, 1, 0, USUAL, 2, .forever = true},
			 {"chat", BIND_NATIVE, LEASE_CHAT, 1, 1, 0, USUAL, 1, .forever = true},
			 {"wide", BIND_NATIVE, LEASE_NORMAL, 2, 1, 0, MAY_CANCEL, 1,
			  .forever = true}},
	},
	{
		.name = "set",
		.what = "two GPUs, one client that needs both at once",
		.gpu_count = 2,
		.slots = 1,
		.share = 15,
		.count = 3,
		.cast = {{"voice", BIND_TAB, LEASE_VOICE, 1, 1, 0, USUAL, 2, .forever = true},
			 {"chat", BIND_NATIVE, LEASE_CHAT, 1, 1, 0, USUAL, 2, .forever = true},
			 {"pair", BIND_NATIVE, LEASE_BACKGROUND, 1, 2, 0, USUAL, 1,
			  .forever = true}},
	},
	{
		.name = "alone",
		.what = "two GPUs of two turns, one client that needs all of both; a reload takes "
			"one of each away",
		.gpu_count = 2,
		.slots = 2,
		.slots_later = 1,
		.share = 15,
		.count = 3,
		.cast = {{"voice", BIND_TAB, LEASE_VOICE, 1, 1, 0, USUAL, 2, .forever = true},
			 {"chat", BIND_NATIVE, LEASE_CHAT, 1, 1, 0, USUAL, 1, .forever = true},
			 {"loads", BIND_NATIVE, LEASE_NORMAL, 1, 2, 0, USUAL, 1, .forever = true,
			  .all = true}},
	},
	{
		.name = "residents",
		.what = "a model that stays loaded, another that does not fit beside it, a turn",
		.gpu_count = 1,
		.slots = 1,
		.vram_gib = 24,
		.share = 15,
		.count = 3,
		.cast = {{"keeps", BIND_NATIVE, LEASE_NORMAL, 1, 1, 14, USUAL | MAY_CHANGE, 2,
			  .evictable = true, .forever = true},
			 {"loads", BIND_TAB, LEASE_CHAT, 1, 1, 14, USUAL | MAY_CHANGE, 1,
			  .evictable = true, .forever = true},
			 {"turn", BIND_NATIVE, LEASE_BACKGROUND, 1, 1, 0, MAY_CANCEL, 1,
			  .forever = true}},
	},
	{
		.name = "switch",
		.what = "a model in memory, turns that use it, another that needs its room",
		.gpu_count = 1,
		.slots = 1,
		.vram_gib = 24,
		.share = 15,
		.count = 3,
		.cast = {{"keeps", BIND_NATIVE, LEASE_NORMAL, 1, 1, 14, USUAL | MAY_CHANGE, 1,
			  .evictable = true, .forever = true},
			 {"uses", BIND_TAB, LEASE_NORMAL, 1, 1, 0, MAY_CANCEL | MAY_USE, 2,
			  .forever = true},
			 {"loads", BIND_TAB, LEASE_NORMAL, 1, 1, 14, MAY_CANCEL, 1,
			  .evictable = true, .forever = true}},
	},
	{
		.name = "loan",
		.what = "a lease that lends its turn to a claim that it waits for, beside another",
		.gpu_count = 1,
		.slots = 1,
		.asked = 1,
		.share = 10,
		.count = 3,
		.cast = {{"lends", BIND_NATIVE, LEASE_NORMAL, 1, 1, 0,
			  USUAL | MAY_LEND | MAY_BE_ASKED, 2, .forever = true},
			 {"inner", BIND_TAB, LEASE_NORMAL, 1, 1, 0, USUAL | MAY_NEST, 2,
			  .forever = true},
			 {"chat", BIND_NATIVE, LEASE_CHAT, 1, 1, 0, MAY_CANCEL, 1,
			  .forever = true}},
	},
	{
		.name = "breaks",
		.what = "connections that break, words that come late or never, deaths",
		.gpu_count = 1,
		.slots = 1,
		.lost = 1,
		.share = 15,
		.count = 3,
		.cast = {{"tab", BIND_TAB, LEASE_CHAT, 1, 1, 0,
			  MAY_CLOSE | MAY_LAG | MAY_FORGET | MAY_DIE, 1, .forever = true},
			 {"native", BIND_NATIVE, LEASE_NORMAL, 1, 1, 0,
			  MAY_CLOSE | MAY_LAG | MAY_FORGET | MAY_DIE | MAY_REQUEUE, 1,
			  .forever = true, .accepts = true},
			 {"http", BIND_HTTP, LEASE_VOICE, 1, 1, 0, MAY_CLOSE | MAY_CANCEL, 2}},
	},
	{
		.name = "crash",
		.what = "the broker dies once, between steps or before it could tell anybody",
		.gpu_count = 1,
		.slots = 1,
		.crashes = 1,
		.mortal = true,
		.share = 10,
		.count = 3,
		.cast = {{"tab", BIND_TAB, LEASE_CHAT, 1, 1, 0, MAY_CANCEL | MAY_FORGET, 1,
			  .forever = true},
			 {"native", BIND_NATIVE, LEASE_VOICE, 1, 1, 0, USUAL | MAY_DIE, 1,
			  .forever = true},
			 {"http", BIND_HTTP, LEASE_NORMAL, 1, 1, 0, MAY_CANCEL, 1}},
	},
};

const size_t scene_count = sizeof(scenes) / sizeof(*scenes);

static void set_times(const struct scene *scene, struct core_config *config)
{
	static const int64_t offset_ticks[LEASE_CLASS_COUNT] = {0, 1, 2, 4};
	static const int64_t hold_ticks[LEASE_CLASS_COUNT] = {3, 4, 4, 3};

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		config->classes[cls].offset_ms = TICKS(offset_ticks[cls]);
		config->classes[cls].hold_ms_max = TICKS(hold_ticks[cls]);
	}
	config->quantum_ms = TICKS(2);
	config->voice_credit_ms = TICKS(6);
	config->min_residence_ms_max = TICKS(4);
	config->min_run_ms = TICKS(1);
	config->grace_ms = TICKS(2);
	config->grace_ms_max = TICKS(3);
	config->ack_ms = TICKS(1);
	config->heartbeat_ms = scene->mortal ? TICKS(4) : FAR_MS;
	config->session_ttl_ms = scene->mortal ? TICKS(8) : FAR_MS * 4;
	config->http_ttl_ms = TICKS(5);
	config->http_ttl_ms_max = TICKS(8);
	config->timeout_ms = TICKS(30);
	config->tab_linger_ms = TICKS(2);
	config->native_linger_ms = TICKS(2);
	config->restart_linger_ms = TICKS(4);
	config->lock_delay_ms = TICKS(2);
	config->kill_wait_ms = TICKS(2);
	config->place_memory_ms = TICKS(3);
	config->settle_ms = TICKS(2);
}

void scene_config(const struct scene *scene, bool reloaded, struct core_config *ret_config)
{
	core_config_defaults(ret_config);
	set_times(scene, ret_config);
	ret_config->vram_headroom_bytes = 0;
	ret_config->gpu_count = scene->gpu_count;
	for (uint32_t gpu = 0; gpu < scene->gpu_count; gpu++)
		ret_config->gpus[gpu] = (struct gpu_config){
			.slots = reloaded && scene->slots_later ? scene->slots_later : scene->slots,
			.vram_bytes_total = scene->vram_gib * GIB,
			.vram_known = scene->vram_gib > 0,
		};
	assert(!core_config_flaw(ret_config));
}
