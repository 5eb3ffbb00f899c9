/* run_inside: a `baton run` inside another one. If the outer lease covers the need, the command
 * runs under it: waiting for a GPU that an ancestor holds would never end. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct inside_need {
	const char *gpu;      /* NULL: any */
	uint32_t gpus, slots; /* slots: or BATON_SLOTS_ALL */
	uint64_t vram_bytes;
};

/* True: we are inside a lease that the broker still lists as held and that covers the need; the
 * environment then names the GPUs to use. */
bool run_inside(const struct inside_need *need, uint64_t *ret_lease);
