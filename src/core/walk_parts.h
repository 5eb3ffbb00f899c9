/* walk_parts: what the passes of walk.c are made of: the groups of waiters with their cursors, what
 * is still open to whom, and what is kept for whom. For walk*.c only. */
#pragma once
#include "core/walk.h"

struct walk {
	uint32_t turns, memory; /* GPUs whose turns and memory may be given to who comes next */
	uint32_t behind_big;    /* turns that are kept, but not from who came before the keeper */
	uint32_t behind_set;    /* the same of memory */
	bool again;             /* a kept GPU came free: begin anew */
};

/* The first of each class that a turn of each GPU could serve. */
struct firsts {
	struct claim *v[LIMIT_GPUS][LEASE_CLASS_COUNT];
};

/* What a head keeps: what it lacks, and of what it has found what must not be lost again, a set's
 * other GPUs and memory; all of it, once its class is due; or memory alone. */
enum keeps { KEEPS_LACKING, KEEPS_ALL, KEEPS_MEMORY };

static inline uint32_t gpu_bit(uint32_t gpu)
{
	return 1u << gpu;
}

/* Groups: where each could be served at all, and its first as the one to visit. */
void walk_prepare(struct core *core);
void walk_rewind(struct core *core, bool to_first);
/* Of those not visited yet: who want a turn, or who want memory and no turn. */
void walk_firsts(struct core *core, const struct walk *walk, bool memory, struct firsts *ret);
/* The next group in the order of the keys that has something open within `gpus`. */
struct group *walk_next(struct core *core, const struct walk *walk, bool voice_only, uint32_t gpus);

/* Something that it waits for is kept for it. */
bool walk_is_head(const struct core *core, const struct claim *claim);
/* GPUs where all that it needs is open to it. */
uint32_t walk_open(const struct core *core, const struct walk *walk, const struct claim *claim);
/* Keeps what it waits for on these GPUs. */
void walk_close(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpus,
		enum keeps keeps);
