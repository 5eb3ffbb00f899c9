/* twin: now and then the broker's core is exported and imported, and the copy goes on in its place;
 * the old one gets the same events for a while, and must answer with the same effects. */
#pragma once
#include "core/core.h"
#include "core/effect.h"

struct world;

struct twin {
	struct core *core; /* the old one; NULL: none now */
	struct effects fx;
	unsigned every; /* steps between two handovers; 0: never */
	unsigned left;  /* steps until the two part */
	uint64_t handovers;
};

void twin_begin_step(struct world *w, const struct event *event);
/* `from`: the first effect of this step. */
void twin_end_step(struct world *w, const struct event *event, size_t from);
void twin_drop(struct world *w); /* the broker is gone */
