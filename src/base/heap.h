/* heap: an intrusive heap of deadlines, smallest first; equal keys leave in the order of their ids,
 * so that two runs of the same events behave alike. Owns only its array, which has the keys too:
 * the nodes of a crowd lie far apart, and to compare them there would take longer than all else. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct heap_node {
	int64_t key; /* INT64_MAX once it was taken out */
	uint64_t id;
	uint32_t place; /* 1 + index in the array; 0: in no heap */
};

struct heap {
	struct heap_row {
		int64_t key;
		uint64_t id;
		struct heap_node *node;
	} * v;
	uint32_t count, capacity;
};

void heap_init(struct heap *heap);
void heap_finish(struct heap *heap);
/* Puts the node in, or moves it, to stand by key; node->id was set by the caller. Aborts when
 * memory is out. */
void heap_set(struct heap *heap, struct heap_node *node, int64_t key);
void heap_remove(struct heap *heap, struct heap_node *node); /* no-op if it is not in */
struct heap_node *heap_first(const struct heap *heap);       /* NULL: empty */
bool heap_has(const struct heap_node *node);
