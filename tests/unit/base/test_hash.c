/* Goal: what was added is found under its value until it is removed, through growth and among nodes
 * of the same value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/hash.h"

enum { NODES = 5000, ALIKE = 10 };

static bool found(const struct hash *hash, const struct hash_node *node, uint64_t value)
{
	for (struct hash_node *at = hash_first(hash, value); at; at = hash_next(at))
		if (at == node)
			return true;
	return false;
}

/* Every node is found, every removed one is not, and a value of none finds nothing. */
static void test_add_remove(void **state)
{
	static struct hash_node nodes[NODES];
	struct hash hash;

	(void)state;
	hash_init(&hash);
	assert_null(hash_first(&hash, 1));
	for (uint64_t i = 0; i < NODES; i++)
		hash_add(&hash, &nodes[i], hash_u64(i / ALIKE));
	for (uint64_t i = 0; i < NODES; i++)
		assert_true(found(&hash, &nodes[i], hash_u64(i / ALIKE)));
	for (uint64_t i = 0; i < NODES; i += 2)
		hash_remove(&hash, &nodes[i]);
	for (uint64_t i = 0; i < NODES; i++)
		assert_int_equal(found(&hash, &nodes[i], hash_u64(i / ALIKE)), i % 2);
	assert_null(hash_first(&hash, hash_u64(NODES)));
	assert_int_equal(hash.count, NODES / 2);
	hash_finish(&hash);
}

/* A trimmed table is small and has lost nothing. */
static void test_trim(void **state)
{
	static struct hash_node nodes[NODES];
	struct hash hash;

	(void)state;
	hash_init(&hash);
	hash_trim(&hash);
	for (uint64_t i = 0; i < NODES; i++)
		hash_add(&hash, &nodes[i], hash_u64(i));
	hash_trim(&hash);
	assert_in_range(hash.size, NODES, 2 * NODES);
	for (uint64_t i = 0; i < NODES - 100; i++)
		hash_remove(&hash, &nodes[i]);
	hash_trim(&hash);
	assert_in_range(hash.size, 100, 1024);
	for (uint64_t i = 0; i < NODES; i++)
		assert_int_equal(found(&hash, &nodes[i], hash_u64(i)), i >= NODES - 100);
	hash_finish(&hash);
}

/* The same bytes give the same value, other bytes or another seed another one. */
static void test_bytes(void **state)
{
	(void)state;
	assert_true(hash_bytes(0, "abc", 3) == hash_bytes(0, "abc", 3));
	assert_true(hash_bytes(0, "abc", 3) != hash_bytes(0, "abd", 3));
	assert_true(hash_bytes(0, "abc", 3) != hash_bytes(1, "abc", 3));
	assert_true(hash_bytes(0, "", 0) == hash_bytes(0, "x", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_remove),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
