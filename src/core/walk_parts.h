/* walk_parts: what the passes of walk.c are made of: the groups of waiters with their cursors, what
 * is still open to whom, and what is kept for whom. For walk*.c only. */
#pragma once
#include "base/limits.h"
#include "core/types.h"

struct claim;
struct core;
struct group;

struct walk {
	uint32_t turns, memory; /* GPUs whose turns and memory are open to the next claim */
	uint32_t behind_big; /* turns that are kept, but not from earlier arrivals than the head */
	uint32_t found_by_big; /* the same of memory */
	bool again;            /* a kept GPU came free: make another pass */
	bool visited; /* somebody was, or is to be after a voice: look who is due once more */
};

/* For each GPU and class, the first claim that a turn there could serve. */
struct firsts {
	struct claim *v[LIMIT_GPUS][LEASE_CLASS_COUNT];
};

/* What a head keeps: what it lacks, and what it must not lose again, a set's other GPUs and memory;
 * everything, once its class is due; or memory alone. */
enum keeps { KEEPS_LACKING, KEEPS_ALL, KEEPS_MEMORY };

static inline uint32_t gpu_bit(uint32_t gpu)
{
	return 1u << gpu;
}

/* Per group: where it could be served at all, and the cursor to its first. */
void walk_prepare(struct core *core);
void walk_rewind(struct core *core, bool to_first);
/* Among those not visited yet: claims that want a turn, or memory and no turn. */
void walk_firsts(struct core *core, const struct walk *walk, bool memory, struct firsts *ret);
/* The next group by key that has something open within `gpus`. */
struct group *walk_next(struct core *core, const struct walk *walk, bool voice_only, uint32_t gpus);

/* It is a head: something that it waits for is kept for it. */
bool walk_is_head(const struct core *core, const struct claim *claim);
/* GPUs where all that it needs is open to it. */
uint32_t walk_open(const struct core *core, const struct walk *walk, const struct claim *claim);
/* Keeps what it waits for on these GPUs. */
void walk_close(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpus,
		enum keeps keeps);
