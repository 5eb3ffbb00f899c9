/* hash: an intrusive chained hash table that holds many nodes of one hash value. The caller
 * compares what it stored: walk from hash_first by hash_next. Owns only its array of buckets. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_node {
	struct hash_node *next;
	uint64_t hash;
};

struct hash {
	struct hash_node **v;
	size_t size, count; /* size: buckets, a power of two or 0 */
};

void hash_init(struct hash *hash);
void hash_finish(struct hash *hash);
void hash_add(struct hash *hash, struct hash_node *node, uint64_t value); /* aborts: no memory */
void hash_remove(struct hash *hash, struct hash_node *node);              /* must be in */
void hash_trim(struct hash *hash); /* gives buckets back where most are empty; moves nodes */
struct hash_node *hash_first(const struct hash *hash, uint64_t value); /* NULL: none */
struct hash_node *hash_next(const struct hash_node *node);             /* of the same value */

uint64_t hash_u64(uint64_t value);
/* Strings and other bytes; chain calls by passing the last value as seed. The first is secret where
 * clients choose what is hashed. */
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t size);
