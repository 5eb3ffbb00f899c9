/* process_port: what the gateway needs of whoever starts the commands of model servers: two calls,
 * and news of each end by gateway_process_ended. Processes have numbers of the gateway's own, never
 * used twice. */
#pragma once
#include <stdint.h>

struct process_ask {
	uint64_t process;
	const char *server; /* whose, in words */
	const char *const *argv,
		*const *env; /* each ending with NULL; env: beside the broker's own */
	uint32_t gpus;       /* that it may use */
};

struct process_port {
	/* 0, or a negative errno: then there is none. */
	int (*start)(void *ctx, const struct process_ask *ask);
	/* Asks all of it to end, and kills what does not; its end comes as news. */
	void (*stop)(void *ctx, uint64_t process);
	void *ctx;
};
