/* gpu_foreign: in observe mode programs that compute on a GPU without asking count as arrivals:
 * each is granted a turn for as long as the driver lists it, so that a replay has it, too. A lease
 * of this kind is a record: nobody is told, signalled or stopped for it. */
#pragma once
#include "base/mono.h"

struct event_queue;
struct gpu_figures;

enum {
	FOREIGN_MAX = 256,  /* at once */
	FOREIGN_MISSES = 3, /* readings without it, then it has left */
	FOREIGN_LOOK_MS =
		5000, /* how often it is looked who is there, while nobody needs figures */
};

struct gpu_foreign {
	struct foreign {
		int64_t pid; /* 0: a free place */
		struct mono_ms since;
		uint32_t gpu, misses;
		uint64_t party;
	} v[FOREIGN_MAX];
	unsigned count;   /* places taken */
	uint64_t parties; /* given out so far */
	struct mono_ms looked;
};

/* After each good reading of a GPU. */
void gpu_foreign_take(struct gpu_foreign *foreign, struct event_queue *queue, uint32_t gpu,
		      const struct gpu_figures *figures);
/* The rules are enforced from now on: the records end. */
void gpu_foreign_end(struct gpu_foreign *foreign, struct event_queue *queue);
