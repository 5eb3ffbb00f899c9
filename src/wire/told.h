/* told: what a waiter hears about time, the same in session messages, answers and rows of status:
 * first what such waits were like, then what is promised. Used inside wire and by the code that
 * fills it in. */
#pragma once
#include "core/estimate.h"
#include "core/view.h"

struct text;

/* 2026-11-23T15:04:05.678Z */
void encode_time(struct text *out, struct wall_ms wall);

struct told {
	struct estimate estimate;
	int64_t bound_ms;                   /* -1: nothing can be promised */
	const char *bound_why, *bound_text; /* then the code and a sentence of why not, or NULL */
	struct wall_ms wall;                /* of this moment */
};

/* eta_s, eta_p90_s, estimate?, bound_s, bound_why?, bound_text?, guaranteed_by?: fields of an open
 * object. */
void encode_told(struct text *out, const struct told *told);
/* "about 30 s; 9 of 10 such waits under 75 s"; nothing where nothing is known. */
void told_estimate(struct text *out, const struct estimate *estimate);
/* Two digits, in the unit in which they say most: "0.25 s", "75 s", "2.5 min", "1.3 h". */
void told_duration(struct text *out, int64_t ms, bool up);
