/* run_inside: a `baton run` inside another one. What the outer lease has room for runs under it: to
 * wait for a GPU that one's own ancestor holds would never end. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct inside_need {
	const char *gpu;      /* NULL: any */
	uint32_t gpus, slots; /* slots: or BATON_SLOTS_ALL */
	uint64_t vram_bytes;
};

/* True: we are inside a lease that the broker still knows as held and that has all of this; the
 * environment then names the GPUs to be used. */
bool run_inside(const struct inside_need *need, uint64_t *ret_lease);
