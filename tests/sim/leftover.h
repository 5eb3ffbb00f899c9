/* leftover: memory that clients use without a lease, after they have stopped. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct world;
struct job;

enum { LEFTOVERS_MAX = 64 };

struct leftover {
	uint64_t job; /* who left it */
	uint32_t gpus;
	uint64_t bytes;
	int64_t from_t, until_t; /* INT64_MAX: as long as its process lives */
};

/* The job stops using its GPUs: perhaps something stays, or comes back later. */
void leftover_begin(struct world *w, const struct job *job);
/* Those in use on this GPU now, one after the other; *at begins at 0. NULL: no more. */
const struct leftover *leftover_next(struct world *w, uint32_t gpu, size_t *at);
void leftovers_sweep(struct world *w); /* forgets those that are over */
