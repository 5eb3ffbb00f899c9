/* going_on: liveness: from any state, without faults, everybody who waits must be served, and no
 * later than promised. */
#pragma once
#include "world.h"

enum going {
	GOING_KIND,   /* all accept at once and give back at once */
	GOING_GREEDY, /* the others hold until the last moment, and ask again and again */
	GOING_RUDE,   /* and never accept what they are offered */
	GOING_COUNT
};

enum { GOING_STEPS_MAX = 600 };

struct going_path {
	enum going how;
	struct choice v[GOING_STEPS_MAX];
	uint32_t count;
};

void going_init(size_t memo_count);
/* Changes the world. On a fault (judge_found) `ret_path` is how it came to it. */
void going_run(struct world *w, enum going how, struct going_path *ret_path);
/* The same steps again, for the trace. */
void going_again(struct world *w, const struct going_path *path);
uint64_t going_steps(void);
