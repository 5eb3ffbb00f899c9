/* hash: buckets that double when they are full on average. No key is stored or compared here. The
 * core finds claims and sessions by it. */
#include "base/hash.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/contracts.h"
#include "base/memory.h"

enum { FIRST_SIZE = 64 };

void hash_init(struct hash *hash)
{
	*hash = (struct hash){0};
}

void hash_finish(struct hash *hash)
{
	free(hash->v);
	hash_init(hash);
}

static struct hash_node **bucket_of(const struct hash *hash, uint64_t value)
{
	return &hash->v[value & (hash->size - 1)];
}

static void set_size(struct hash *hash, size_t size)
{
	struct hash other = {.size = size, .count = hash->count};

	other.v = check_memory(calloc(other.size, sizeof(*other.v)));

	for (size_t i = 0; i < hash->size; i++)
		for (struct hash_node *node = hash->v[i], *next; node; node = next) {
			struct hash_node **bucket = bucket_of(&other, node->hash);
			next = node->next;
			node->next = *bucket;
			*bucket = node;
		}

	free(hash->v);
	*hash = other;
}

void hash_add(struct hash *hash, struct hash_node *node, uint64_t value)
{
	struct hash_node **bucket;

	if (hash->count == hash->size)
		set_size(hash, hash->size ? hash->size * 2 : FIRST_SIZE);

	bucket = bucket_of(hash, value);
	node->hash = value;
	node->next = *bucket;
	*bucket = node;
	hash->count++;
}

void hash_remove(struct hash *hash, struct hash_node *node)
{
	struct hash_node **link;

	PRE(hash->count > 0);
	for (link = bucket_of(hash, node->hash); *link != node; link = &(*link)->next)
		PRE(*link != NULL);

	*link = node->next;
	node->next = NULL;
	hash->count--;
}

void hash_trim(struct hash *hash)
{
	size_t size = hash->size;

	while (size > FIRST_SIZE && hash->count < size / 8)
		size /= 2;
	if (size < hash->size)
		set_size(hash, size);
	POST(hash->count <= hash->size);
}

struct hash_node *hash_first(const struct hash *hash, uint64_t value)
{
	if (hash->size == 0)
		return NULL;
	for (struct hash_node *node = *bucket_of(hash, value); node; node = node->next)
		if (node->hash == value)
			return node;
	return NULL;
}

struct hash_node *hash_next(const struct hash_node *node)
{
	for (struct hash_node *next = node->next; next; next = next->next)
		if (next->hash == node->hash)
			return next;
	return NULL;
}

/* The finalizer of splitmix64: every input bit reaches every output bit. */
uint64_t hash_u64(uint64_t value)
{
	value += 0x9e3779b97f4a7c15u;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

static uint64_t turn_left(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = turn_left(v[1], 13) ^ v[0];
	v[3] = turn_left(v[3], 16) ^ v[2];
	v[0] = turn_left(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = turn_left(v[1], 17) ^ v[2];
	v[3] = turn_left(v[3], 21) ^ v[0];
	v[2] = turn_left(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

/* Little-endian; fewer than eight bytes leave the upper ones 0. */
static uint64_t word_of(const unsigned char *bytes, size_t size)
{
	uint64_t word = 0;

	if (size > 0) /* of none there may be no address */
		memcpy(&word, bytes, size);
	return le64toh(word);
}

/* SipHash-1-3: without the seed nobody can choose names that collide in one bucket. */
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	uint64_t other = hash_u64(seed);
	uint64_t v[4] = {seed ^ 0x736f6d6570736575u, other ^ 0x646f72616e646f6du,
			 seed ^ 0x6c7967656e657261u, other ^ 0x7465646279746573u};
	size_t whole = size - size % 8;

	for (size_t i = 0; i < whole; i += 8)
		sip_word(v, word_of(at + i, 8));
	sip_word(v, word_of(at + whole, size - whole) | (uint64_t)size << 56);

	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);

	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
