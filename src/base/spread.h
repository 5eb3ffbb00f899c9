/* spread: how often a number was how large, in 64 buckets that widen with the number, four to each
 * power of two. Counts fade on request, so that old numbers weigh less. Plain numbers, no pointer:
 * may be copied and kept. Knows nothing of what the numbers measure. */
#pragma once
#include <stdint.h>

enum {
	SPREAD_BUCKETS = 64,
	SPREAD_ONE = 256,     /* what one number counts, so that it can fade */
	SPREAD_LEAST_LOG = 6, /* numbers below 64 count as about so many */
};

struct spread {
	uint32_t counts[SPREAD_BUCKETS];
};

void spread_add(struct spread *spread, int64_t number); /* below 0 counts as 0 */
void spread_fade(struct spread *spread);                /* by one part in 32 */
/* All counts of `from`, `weight` times (at most 16). */
void spread_mix(struct spread *spread, const struct spread *from, uint32_t weight);
uint64_t spread_total(const struct spread *spread);
/* The number that per_mille of all do not exceed; -1: there are none. */
int64_t spread_quantile(const struct spread *spread, unsigned per_mille);
/* Of those above `past`: the mean of what is above it, where `most` and more counts as `most`; -1:
 * there are none. */
int64_t spread_rest(const struct spread *spread, int64_t past, int64_t most);
