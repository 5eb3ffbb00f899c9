/* rng: xoshiro256** by Blackman and Vigna (public domain), seeded by splitmix64. Integers only: a
 * float would let two compilers disagree. Called by everything in the simulator. */
#include "rng.h"

#include <assert.h>

static uint64_t rotate_left(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

void rng_seed(struct rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		seed += UINT64_C(0x9e3779b97f4a7c15);
		uint64_t z = seed;
		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		rng->s[i] = z ^ (z >> 31);
	}
}

uint64_t rng_next(struct rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
	assert(n > 0);
	/* The bias of the remainder is below 2^-40 for all n used here. */
	return rng_next(rng) % n;
}

int64_t rng_between(struct rng *rng, int64_t lo, int64_t hi)
{
	assert(lo <= hi);
	return lo + (int64_t)rng_below(rng, (uint64_t)(hi - lo) + 1);
}

bool rng_chance(struct rng *rng, uint32_t permille)
{
	return permille > 0 && rng_below(rng, 1000) < permille;
}
