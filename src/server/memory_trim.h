/* memory_trim: freed memory stays with the allocator, and so with us, until it is told: a moment
 * after a crowd has left, other programs of this machine shall have it. */
#pragma once
#include "base/mono.h"

struct core;

/* Zeroed before, but for `left`: MONO_NEVER. */
struct memory_trim {
	unsigned crowd_max;  /* the most claims and sessions since memory was given back */
	struct mono_ms left; /* when it will be, for most of them have left */
};

/* Returns when to call again. */
struct mono_ms memory_trim_step(struct memory_trim *trim, const struct core *core,
				struct mono_ms now);
