/* Goal: the earliest deadline is always first, whatever was added, moved or taken out. Method:
 * random operations against a linear search. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/heap.h"

enum { NODES = 200, ROUNDS = 20000 };

static const struct heap_node *earliest(const struct heap_node *nodes)
{
	const struct heap_node *best = NULL;

	for (int i = 0; i < NODES; i++) {
		if (!heap_has(&nodes[i]))
			continue;
		if (!best || nodes[i].key < best->key ||
		    (nodes[i].key == best->key && nodes[i].id < best->id))
			best = &nodes[i];
	}
	return best;
}

/* After each set, move or removal the first is the least by (key, id). */
static void test_first_is_least(void **state)
{
	static struct heap_node nodes[NODES];
	struct heap heap;
	uint64_t seed = 1;

	(void)state;
	heap_init(&heap);
	for (int i = 0; i < NODES; i++)
		nodes[i].id = (uint64_t)i + 1;
	for (int round = 0; round < ROUNDS; round++) {
		struct heap_node *node;
		seed = hash_u64(seed);
		node = &nodes[seed % NODES];
		if (seed >> 32 & 1)
			heap_set(&heap, node, (int64_t)(seed >> 40 & 63));
		else
			heap_remove(&heap, node);
		assert_ptr_equal(heap_first(&heap), earliest(nodes));
	}
	heap_finish(&heap);
}

/* Equal deadlines leave in the order of their ids. */
static void test_ties_by_id(void **state)
{
	struct heap_node nodes[4] = {{.id = 3}, {.id = 1}, {.id = 4}, {.id = 2}};
	struct heap heap;

	(void)state;
	heap_init(&heap);
	for (int i = 0; i < 4; i++)
		heap_set(&heap, &nodes[i], 7);
	for (uint64_t id = 1; id <= 4; id++) {
		struct heap_node *first = heap_first(&heap);
		assert_int_equal(first->id, id);
		heap_remove(&heap, first);
		assert_false(heap_has(first));
	}
	assert_null(heap_first(&heap));
	heap_finish(&heap);
}

/* After a crowd has left, the array is not as large as it was. */
static void test_shrinks(void **state)
{
	static struct heap_node nodes[10000];
	struct heap heap;

	(void)state;
	heap_init(&heap);
	for (int i = 0; i < 10000; i++)
		heap_set(&heap, &nodes[i], i);
	for (int i = 0; i < 9990; i++)
		heap_remove(&heap, heap_first(&heap));
	assert_in_range(heap.capacity, heap.count, 64);
	assert_int_equal(heap_first(&heap)->key, 9990);
	heap_finish(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_is_least),
		cmocka_unit_test(test_ties_by_id),
		cmocka_unit_test(test_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
