/* config: the defaults of DESIGN.md section 12. Reads no file; the server lays a configuration
 * file over them. */
#include "core/config.h"

#include <string.h>

#define SECOND_MS ((int64_t)1000)

void core_config_defaults(struct core_config *ret_config)
{
	*ret_config = (struct core_config){
		.classes = {[LEASE_VOICE] = {0, 30 * SECOND_MS},
			    [LEASE_CHAT] = {15 * SECOND_MS, 60 * SECOND_MS},
			    [LEASE_NORMAL] = {30 * SECOND_MS, 60 * SECOND_MS},
			    [LEASE_BACKGROUND] = {120 * SECOND_MS, 30 * SECOND_MS}},
		.quantum_ms = 10 * SECOND_MS,
		.min_run_ms = 2 * SECOND_MS,
		.grace_ms = 2 * SECOND_MS,
		.grace_ms_max = 20 * SECOND_MS,
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
		.place_memory_ms = 30 * SECOND_MS,
		.min_residence_ms_max = 60 * SECOND_MS,
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
