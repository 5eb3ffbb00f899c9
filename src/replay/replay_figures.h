/* replay_figures: what waits by class do not show: overlaps, changes of hands, idle time, fairness,
 * and how close waits came to what was promised. Of a replay, and of what was recorded. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct replay_result;
struct replay_trace;

struct replay_figures {
	size_t collisions;  /* grants beside others for which there was no room */
	int64_t overlap_ms; /* .. for how long, summed over GPUs */
	size_t switches;    /* a GPU's turn went to another client than had it before */
	double idle_share;  /* of all turn time; negative: unknown */
	double jain;        /* over principals; negative: unknown */
	double worst;       /* the longest wait of all that were promised one, by the promise;
			       negative: nothing was promised */
};

/* Of the replay. */
void replay_figures(const struct replay_trace *trace, const struct replay_result *result,
		    struct replay_figures *ret_figures);
/* Of a state: as it was. */
void replay_figures_past(const struct replay_trace *trace, struct replay_figures *ret_figures);
