/* explore: all states of a scene, breadth first. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scene.h"

struct explored {
	uint64_t states, transitions, steps_on;
	uint32_t depth; /* complete up to this many choices */
	bool whole;     /* there are no more states */
	bool failed;
	double seconds, worst_of_told;
};

struct explore_options {
	size_t states_max;
	uint32_t depth_max;
	bool goes_on, imports, progress;
};

void explore(const struct scene *scene, const struct explore_options *options,
	     struct explored *ret_explored);
