/* Goal: the tree keeps order, ranks and neighbours like a sorted array does, and stays shallow.
 * Method: random inserts and removes, compared with the array after each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rank_tree.h"

enum { NODES = 300, ROUNDS = 3000, MANY = 100000 };

static uint64_t seed;

static uint32_t below(uint32_t limit)
{
	seed = hash_u64(seed);
	return (uint32_t)(seed % limit);
}

static int compare(const void *a, const void *b)
{
	const struct rank_node *left = *(struct rank_node *const *)a;
	const struct rank_node *right = *(struct rank_node *const *)b;

	if (left->key != right->key)
		return left->key < right->key ? -1 : 1;
	return left->id < right->id ? -1 : left->id > right->id;
}

static void check_same(const struct rank_tree *tree, struct rank_node **sorted, uint32_t count)
{
	struct rank_node *node = rank_tree_first(tree);

	assert_int_equal(rank_tree_count(tree), count);
	for (uint32_t i = 0; i < count; i++) {
		assert_ptr_equal(node, sorted[i]);
		assert_int_equal(rank_tree_rank(node), i);
		assert_ptr_equal(rank_tree_at(tree, i), node);
		assert_ptr_equal(rank_tree_from(tree, node->key, node->id), node);
		node = rank_tree_next(node);
	}
	assert_null(node);
	assert_null(rank_tree_at(tree, count));
}

/* Order, rank, n-th and next agree with a sorted array after each change. */
static void test_like_sorted_array(void **state)
{
	static struct rank_node nodes[NODES];
	struct rank_node *sorted[NODES];
	struct rank_tree tree = {0};
	uint32_t count = 0;

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t at = below(NODES);
		if (nodes[at].count > 0) {
			rank_tree_remove(&tree, &nodes[at]);
			for (uint32_t i = 0; i < count; i++)
				if (sorted[i] == &nodes[at])
					sorted[i] = sorted[--count];
		} else {
			/* Few keys, so that ids decide often. */
			rank_tree_insert(&tree, &nodes[at], below(20), at + 1);
			sorted[count++] = &nodes[at];
		}
		qsort(sorted, count, sizeof(sorted[0]), compare);
		if (round % 10 == 0)
			check_same(&tree, sorted, count);
	}
	check_same(&tree, sorted, count);
}

/* The first node not before a key that is in no node is its successor, or none. */
static void test_from(void **state)
{
	struct rank_node nodes[3] = {0};
	struct rank_tree tree = {0};

	(void)state;
	for (int i = 0; i < 3; i++)
		rank_tree_insert(&tree, &nodes[i], 10 * i, 5);
	assert_ptr_equal(rank_tree_from(&tree, 5, 0), &nodes[1]);
	assert_ptr_equal(rank_tree_from(&tree, 10, 6), &nodes[2]);
	assert_ptr_equal(rank_tree_from(&tree, INT64_MIN, 0), &nodes[0]);
	assert_null(rank_tree_from(&tree, 20, 6));
}

static uint32_t depth_of(const struct rank_node *node)
{
	uint32_t depth = 0;

	for (; node->up; node = node->up)
		depth++;
	return depth;
}

/* Keys that arrive in order do not make a list: no node is deeper than 5 times the logarithm. */
static void test_stays_shallow(void **state)
{
	struct rank_node *nodes = calloc(MANY, sizeof(*nodes));
	struct rank_tree tree = {0};
	uint32_t deepest = 0;

	(void)state;
	assert_non_null(nodes);
	for (uint32_t i = 0; i < MANY; i++)
		rank_tree_insert(&tree, &nodes[i], i, i + 1);
	for (uint32_t i = 0; i < MANY; i++)
		if (depth_of(&nodes[i]) > deepest)
			deepest = depth_of(&nodes[i]);
	assert_in_range(deepest, 16, 85);
	for (uint32_t i = 0; i < MANY; i++)
		rank_tree_remove(&tree, rank_tree_first(&tree));
	assert_null(tree.root);
	free(nodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_sorted_array),
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_stays_shallow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
