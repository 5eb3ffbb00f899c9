/* set: which states were seen, as hashes of 128 bits, in memory that is bounded when it is made. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash128 {
	uint64_t a, b;
};

struct hash128 hash128_of(const void *bytes, size_t length);

struct set {
	struct hash128 *v;
	size_t mask, count;
};

void set_init(struct set *set, size_t count_max);
void set_finish(struct set *set);
bool set_full(const struct set *set);
bool set_has(const struct set *set, struct hash128 hash);
bool set_add(struct set *set, struct hash128 hash); /* false: it was there */
