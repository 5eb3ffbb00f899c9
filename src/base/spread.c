/* spread: counts in buckets, the mean and the quantiles of them. Within a bucket all numbers are
 * taken to lie evenly. */
#include "base/spread.h"

#include "base/contracts.h"

#define COUNT_MAX ((uint32_t)1 << 26) /* sixteen times it, and a mix of many, fit the type */

/* Where bucket `at` begins; numbers below the second bucket are all in the first. */
static int64_t begin_of(int at)
{
	return at == 0 ? 0 : (int64_t)(4 + at % 4) << (SPREAD_LEAST_LOG - 2 + at / 4);
}

static int bucket_of(int64_t number)
{
	int log, at;

	if (number < (int64_t)1 << SPREAD_LEAST_LOG)
		return 0;

	log = 63 - __builtin_clzll((uint64_t)number);
	at = (log - SPREAD_LEAST_LOG) * 4 + (int)((uint64_t)number >> (log - 2) & 3);
	return at < SPREAD_BUCKETS ? at : SPREAD_BUCKETS - 1;
}

void spread_add(struct spread *spread, int64_t number)
{
	uint32_t *count = &spread->counts[bucket_of(number)];

	*count += SPREAD_ONE;

	if (*count < COUNT_MAX)
		return;

	for (int i = 0; i < SPREAD_BUCKETS; i++)
		spread->counts[i] /= 2;
}

void spread_fade(struct spread *spread)
{
	for (int i = 0; i < SPREAD_BUCKETS; i++)
		spread->counts[i] -= (spread->counts[i] + 31) / 32;
}

/* Declared disjoint (restrict), so that the compiler can vectorize it. */
static void add_times(uint32_t *restrict counts, const uint32_t *restrict from, uint32_t weight)
{
	for (int i = 0; i < SPREAD_BUCKETS; i++)
		counts[i] += from[i] * weight;
}

void spread_mix(struct spread *spread, const struct spread *from, uint32_t weight)
{
	PRE(weight <= 16);
	add_times(spread->counts, from->counts, weight);
}

uint64_t spread_total(const struct spread *spread)
{
	uint64_t total = 0;

	for (int i = 0; i < SPREAD_BUCKETS; i++)
		total += spread->counts[i];
	return total;
}

int64_t spread_quantile(const struct spread *spread, unsigned per_mille)
{
	uint64_t left = spread_total(spread) * per_mille / 1000;

	PRE(per_mille <= 1000);
	for (int i = 0; i < SPREAD_BUCKETS; i++) {
		int64_t begin = begin_of(i), width = begin_of(i + 1) - begin;
		if (spread->counts[i] == 0)
			continue;

		if (left <= spread->counts[i])
			return begin + (int64_t)((uint64_t)width * left / spread->counts[i]);
		left -= spread->counts[i];
	}
	return -1;
}

int64_t spread_rest(const struct spread *spread, int64_t past, int64_t most)
{
	uint64_t total = 0, sum = 0, left = spread_total(spread);

	PRE(past >= 0);
	PRE(most >= 0);

	for (int i = bucket_of(past); i < SPREAD_BUCKETS && left > 0; i++) {
		uint64_t count = spread->counts[i];
		int64_t begin, end, from, rest;
		if (count == 0) /* most are */
			continue;

		left -= count;

		begin = begin_of(i);
		end = begin_of(i + 1);
		from = begin > past ? begin : past;

		if (from >= end)
			continue;

		rest = (from + end) / 2 - past;
		if (from > begin)
			count = count * (uint64_t)(end - from) / (uint64_t)(end - begin);

		total += count;
		sum += count * (uint64_t)(rest < most ? rest : most);
	}

	return total > 0 ? (int64_t)(sum / total) : -1;
}
