/* heap: sift up, sift down, and the growth of one array. Knows nothing of what the keys mean; the
 * core keeps its deadlines in it. */
#include "base/heap.h"

#include <stdlib.h>

#include "base/contracts.h"
#include "base/memory.h"

enum { FIRST_CAPACITY = 64 };

static bool node_before(const struct heap_node *a, const struct heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->id < b->id;
}

static void put_node(struct heap *heap, uint32_t index, struct heap_node *node)
{
	heap->v[index] = node;
	node->place = index + 1;
}

static void sift_up(struct heap *heap, struct heap_node *node)
{
	uint32_t index = node->place - 1;

	while (index > 0) {
		uint32_t up = (index - 1) / 2;
		if (!node_before(node, heap->v[up]))
			break;
		put_node(heap, index, heap->v[up]);
		index = up;
	}
	put_node(heap, index, node);
}

static void sift_down(struct heap *heap, struct heap_node *node)
{
	uint32_t index = node->place - 1;

	for (;;) {
		uint32_t child = 2 * index + 1;
		if (child >= heap->count)
			break;
		if (child + 1 < heap->count && node_before(heap->v[child + 1], heap->v[child]))
			child++;
		if (!node_before(heap->v[child], node))
			break;
		put_node(heap, index, heap->v[child]);
		index = child;
	}
	put_node(heap, index, node);
}

void heap_init(struct heap *heap)
{
	*heap = (struct heap){0};
}

void heap_finish(struct heap *heap)
{
	free(heap->v);
	heap_init(heap);
}

static void set_capacity(struct heap *heap, uint32_t capacity)
{
	PRE(capacity >= heap->count);
	heap->v = check_memory(realloc(heap->v, capacity * sizeof(*heap->v)));
	heap->capacity = capacity;
}

void heap_set(struct heap *heap, struct heap_node *node, int64_t key)
{
	if (!heap_has(node)) {
		if (heap->count == heap->capacity)
			set_capacity(heap, heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY);
		put_node(heap, heap->count++, node);
	}

	PRE(heap->v[node->place - 1] == node);
	node->key = key;

	sift_up(heap, node);
	sift_down(heap, node);

	POST(heap->v[node->place - 1] == node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	struct heap_node *last;

	if (!heap_has(node))
		return;

	PRE(heap->v[node->place - 1] == node);
	last = heap->v[--heap->count];

	if (last != node) {
		put_node(heap, node->place - 1, last);
		sift_up(heap, last);
		sift_down(heap, last);
	}

	node->place = 0;
	node->key = INT64_MAX;

	if (heap->capacity > FIRST_CAPACITY && heap->count < heap->capacity / 4)
		set_capacity(heap, heap->capacity / 2);
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count ? heap->v[0] : NULL;
}

bool heap_has(const struct heap_node *node)
{
	return node->place != 0;
}
