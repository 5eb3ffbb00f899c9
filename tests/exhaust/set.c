/* set: open addressing, at most three quarters full; see set.h. */
#include "set.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

static uint64_t fold(uint64_t x, uint64_t y)
{
	__uint128_t product = (__uint128_t)x * y;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

struct hash128 hash128_of(const void *bytes, size_t length)
{
	const unsigned char *at = bytes;
	struct hash128 hash = {0x9e3779b97f4a7c15u ^ length, 0xc2b2ae3d27d4eb4fu + length};
	for (size_t left = length; left > 0;) {
		uint64_t word = 0;
		size_t take = left < 8 ? left : 8;
		memcpy(&word, at, take);
		at += take;
		left -= take;
		hash.a = fold(hash.a ^ word, 0xa0761d6478bd642fu);
		hash.b = (hash.b ^ word) * 0x9fb21c651e98df25u;
		hash.b ^= hash.b >> 29;
	}
	hash.a = mix(hash.a + hash.b);
	hash.b = mix(hash.b ^ hash.a << 1);
	if (hash.a == 0 && hash.b == 0)
		hash.a = 1; /* zero is an empty place */
	return hash;
}

void set_init(struct set *set, size_t count_max)
{
	size_t size = 1024;
	while (size / 4 * 3 < count_max)
		size *= 2;
	set->v = mmap(NULL, size * sizeof(struct hash128), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (set->v == MAP_FAILED)
		abort();
	set->mask = size - 1;
	set->count = 0;
}

void set_finish(struct set *set)
{
	munmap(set->v, (set->mask + 1) * sizeof(struct hash128));
	set->v = NULL;
}

bool set_full(const struct set *set)
{
	return set->count >= (set->mask + 1) / 4 * 3;
}

static size_t place_of(const struct set *set, struct hash128 hash)
{
	size_t at = hash.a & set->mask;
	while ((set->v[at].a != 0 || set->v[at].b != 0) &&
	       (set->v[at].a != hash.a || set->v[at].b != hash.b))
		at = (at + 1) & set->mask;
	return at;
}

bool set_has(const struct set *set, struct hash128 hash)
{
	return set->v[place_of(set, hash)].b == hash.b && set->v[place_of(set, hash)].a == hash.a;
}

bool set_add(struct set *set, struct hash128 hash)
{
	size_t at = place_of(set, hash);
	if (set->v[at].a == hash.a && set->v[at].b == hash.b)
		return false;
	set->v[at] = hash;
	set->count++;
	return true;
}
