/* rng: the simulator's only source of chance. xoshiro256**, seeded by splitmix64, so the same seed
 * gives the same run with every compiler and library. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t s[4];
};

void rng_seed(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* 0 <= result < n; n > 0. */
uint64_t rng_below(struct rng *rng, uint64_t n);
/* lo <= result <= hi. */
int64_t rng_between(struct rng *rng, int64_t lo, int64_t hi);
/* True in `permille` of 1000 cases. Draws nothing for 0. */
bool rng_chance(struct rng *rng, uint32_t permille);
