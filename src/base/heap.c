/* heap: moving rows up and down, and the growth of one array. Knows nothing of what the keys mean;
 * the core keeps its deadlines in it. */
#include "base/heap.h"

#include <stdlib.h>

#include "base/contracts.h"
#include "base/memory.h"

/* Four below each row: half as many steps as with two, and they lie side by side. */
enum { FIRST_CAPACITY = 64, CHILDREN = 4 };

static bool row_before(const struct heap_row *a, const struct heap_row *b)
{
	return a->key != b->key ? a->key < b->key : a->id < b->id;
}

static void put_row(struct heap *heap, uint32_t index, struct heap_row row)
{
	heap->v[index] = row;
	row.node->place = index + 1;
}

/* The smallest row below this one; heap->count or more: there is none. */
static uint32_t child_of(const struct heap *heap, uint32_t index)
{
	uint32_t first = CHILDREN * index + 1, best = first;

	for (uint32_t child = first + 1; child < first + CHILDREN && child < heap->count; child++)
		if (row_before(&heap->v[child], &heap->v[best]))
			best = child;
	return best;
}

/* Puts the row where it belongs, given that only the row at `index` may be out of order. */
static void sift_row(struct heap *heap, uint32_t index, struct heap_row row)
{
	uint32_t next;

	for (; index > 0; index = next) {
		next = (index - 1) / CHILDREN;
		if (!row_before(&row, &heap->v[next]))
			break;
		put_row(heap, index, heap->v[next]);
	}

	for (;; index = next) {
		next = child_of(heap, index);
		if (next >= heap->count || !row_before(&heap->v[next], &row))
			break;
		put_row(heap, index, heap->v[next]);
	}

	put_row(heap, index, row);
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
		node->place = ++heap->count;
	} else {
		PRE(heap->v[node->place - 1].node == node);
	}

	node->key = key;
	sift_row(heap, node->place - 1, (struct heap_row){key, node->id, node});
	POST(heap->v[node->place - 1].node == node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	struct heap_row last;

	if (!heap_has(node))
		return;

	PRE(heap->v[node->place - 1].node == node);
	last = heap->v[--heap->count];

	if (last.node != node)
		sift_row(heap, node->place - 1, last);

	node->place = 0;
	node->key = INT64_MAX;

	if (heap->capacity > FIRST_CAPACITY && heap->count < heap->capacity / 4)
		set_capacity(heap, heap->capacity / 2);
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count ? heap->v[0].node : NULL;
}

bool heap_has(const struct heap_node *node)
{
	return node->place != 0;
}
