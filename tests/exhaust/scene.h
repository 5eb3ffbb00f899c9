/* scene: a small world as a row of a table: who is there, what each may do, what may break. */
#pragma once
#include "core/config.h"
#include "core/core.h"
#include "core/types.h"

enum { CAST_MAX = 3, CONFIGS_MAX = 2 };

/* The step of time: every deadline of a scene is a multiple of it. */
#define TICK_MS ((int64_t)1000)

/* What lies so far ahead never comes in a scene. */
#define FAR_MS ((int64_t)1 << 40)

enum may {
	MAY_CANCEL = 1 << 0,
	MAY_REQUEUE = 1 << 1,   /* gives way and comes back */
	MAY_STRETCH = 1 << 2,   /* says that it needs more time to give way */
	MAY_CLOSE = 1 << 3,     /* its connection breaks; it may resume */
	MAY_DIE = 1 << 4,       /* its process or tab is gone at once */
	MAY_LEND = 1 << 5,      /* to whoever names its lease as parent */
	MAY_NEST = 1 << 6,      /* names the lease of the first who holds as parent */
	MAY_CHANGE = 1 << 7,    /* keeps its memory and gives its turn back, and the other way */
	MAY_LAG = 1 << 8,       /* what it is told may come late, or be lost with its connection */
	MAY_FORGET = 1 << 9,    /* its release may be lost with its connection */
	MAY_BE_ASKED = 1 << 10, /* an operator asks for its lease */
	MAY_USE = 1 << 11       /* uses what the first has in memory who keeps no turn */
};

struct cast {
	const char *name;
	enum binding binding;
	enum lease_class cls;
	uint32_t slots, gpu_count, vram_gib;
	unsigned may; /* enum may */
	uint8_t asks;
	bool evictable, firm, forever; /* forever: waits without a limit */
	bool all;                      /* all slots of each GPU; `slots` is 1 */
	bool accepts;                  /* as it asks, so that it needs no offer */
};

struct scene {
	const char *name, *what;
	uint32_t gpu_count, slots, vram_gib; /* 0: not known */
	uint32_t slots_later;                /* of every GPU after the reload; 0: no reload */
	uint8_t crashes, lost, asked;        /* how many there may be */
	bool mortal;                         /* sessions have a time to live */
	uint32_t share;                      /* of the states of a run, as a weight */
	uint32_t count;
	struct cast cast[CAST_MAX];
};

extern const struct scene scenes[];
extern const size_t scene_count;

void scene_config(const struct scene *scene, bool reloaded, struct core_config *ret_config);
