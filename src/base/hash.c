/* hash: buckets that double when they are full on average. No key is stored or compared here.
 * Called by the core to find claims and sessions by what names them. */
#include "base/hash.h"

#include <stdlib.h>

#include "base/prepost.h"

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

	other.v = calloc(other.size, sizeof(*other.v));
	if (!other.v)
		abort();
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

/* FNV-1a, finished by the mixer above because buckets are picked by the low bits. */
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	uint64_t value = seed ^ 0xcbf29ce484222325u;

	for (size_t i = 0; i < size; i++)
		value = (value ^ at[i]) * 0x100000001b3u;
	return hash_u64(value);
}
