/* histogram: counts durations. Knows nothing of what they measure; the renderer makes the counts
 * cumulative. */
#include "base/histogram.h"

const int64_t histogram_limits_ms[HISTOGRAM_LIMITS] = {
	50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 3600000};

void histogram_add(struct histogram *histogram, int64_t ms)
{
	size_t at = 0;

	if (ms < 0)
		ms = 0;

	while (at < HISTOGRAM_LIMITS && ms > histogram_limits_ms[at])
		at++;

	histogram->counts[at]++;
	histogram->sum_ms += (uint64_t)ms;
}
