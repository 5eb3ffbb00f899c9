/* histogram: how often a duration fell below each of a few fixed limits, and their sum. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_LIMITS = 13 };
/* Upper limits in milliseconds, rising; what is above the last is counted in `counts` behind it. */
extern const int64_t histogram_limits_ms[HISTOGRAM_LIMITS];

struct histogram {
	uint64_t counts[HISTOGRAM_LIMITS + 1]; /* each for itself, not summed up */
	uint64_t sum_ms;
};

void histogram_add(struct histogram *histogram, int64_t ms); /* below 0 counts as 0 */
