/* config: the defaults of DESIGN.md section 12. Reads no file; the server lays a configuration
 * file over them. */
#include "core/config.h"
#include "base/mono.h"

#define SECOND_MS ((int64_t)1000)
#define DAY_MS    (86400 * SECOND_MS)

void core_config_defaults(struct core_config *ret_config)
{
	*ret_config = (struct core_config){
		.classes = {[LEASE_VOICE] = {0, 30 * SECOND_MS, 500},
			    [LEASE_CHAT] = {15 * SECOND_MS, 60 * SECOND_MS, 250},
			    [LEASE_NORMAL] = {30 * SECOND_MS, 60 * SECOND_MS, 150},
			    [LEASE_BACKGROUND] = {120 * SECOND_MS, 30 * SECOND_MS, 100}},

		.quantum_ms = 10 * SECOND_MS,
		.voice_credit_ms = 30 * SECOND_MS,
		.min_run_ms = 2 * SECOND_MS,
		.grace_ms = 2 * SECOND_MS,
		.grace_ms_max = 20 * SECOND_MS,
		.load_ms_max = 120 * SECOND_MS,
		.ack_ms = 2 * SECOND_MS,

		.heartbeat_ms = 5 * SECOND_MS,
		.session_ttl_ms = 20 * SECOND_MS,
		.http_ttl_ms = 300 * SECOND_MS,
		.http_ttl_ms_max = 3600 * SECOND_MS,
		.timeout_ms = 120 * SECOND_MS,

		.tab_linger_ms = 2 * SECOND_MS,
		.native_linger_ms = 2 * SECOND_MS,
		.restart_linger_ms = 10 * SECOND_MS,
		.lock_delay_ms = 2 * SECOND_MS,
		.kill_wait_ms = 10 * SECOND_MS,
		.unload_ms_max = 30 * SECOND_MS,
		.place_memory_ms = 30 * SECOND_MS,
		.min_residence_ms_max = 60 * SECOND_MS,
		.drain_ms_max = 30 * SECOND_MS,
		.sample_ms_max = 15 * SECOND_MS,
		.settle_ms = 5 * SECOND_MS,

		.vram_headroom_bytes = (uint64_t)512 << 20,
		.queue_count_max = LIMIT_QUEUE,
		.queue_per_session_max = LIMIT_QUEUE_PER_SESSION,
		.queue_per_principal_max = LIMIT_QUEUE_PER_PRINCIPAL,
		.held_per_principal_max = LIMIT_HELD_PER_PRINCIPAL,

		.gpu_count = 1,
		.gpus = {[0] = {.name = "gpu0", .slots = 1}},
	};
}

const char *core_config_flaw(const struct core_config *config)
{
	int64_t shares = 0;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		const struct class_config *class = &config->classes[cls];
		if (class->share_permille < 1 || class->share_permille > 1000)
			return "each class needs a share above 0, or it is promised nothing";
		if (class->hold_ms_max < 1 || class->hold_ms_max > DAY_MS)
			return "hold_max_s must be above 0 and at most a day, or no wait is "
			       "bounded";
		shares += class->share_permille;
	}

	if (shares > 1000)
		return "the shares of the classes add up to more than 1";
	if (config->quantum_ms < 1 || config->quantum_ms > DAY_MS)
		return "quantum_s must be above 0 and at most a day: it is the turn of a class "
		       "that is due";
	if (config->voice_credit_ms < 0 || config->voice_credit_ms > DAY_MS)
		return "voice_credit_s must be from 0 to a day";
	return NULL;
}

int64_t core_hold_ms_max(const struct core_config *config)
{
	int64_t most_ms = 0;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		most_ms = ms_longer(most_ms, config->classes[cls].hold_ms_max);
	return most_ms;
}

uint64_t core_vram_kept(const struct core_config *config, uint32_t gpu)
{
	uint64_t own_bytes = config->gpus[gpu].vram_bytes_kept;

	return own_bytes ? own_bytes : config->vram_headroom_bytes;
}

uint64_t core_vram_room(const struct core_config *config, uint32_t gpu)
{
	uint64_t total_bytes = config->gpus[gpu].vram_bytes_total;
	uint64_t kept_bytes = core_vram_kept(config, gpu);

	return total_bytes > kept_bytes ? total_bytes - kept_bytes : 0;
}
