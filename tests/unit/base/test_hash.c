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
	assert_true(hash_bytes(0, "", 0) == hash_bytes(0, NULL, 0));
	for (size_t size = 0; size < 20; size++)
		assert_true(hash_bytes(7, "abcdefghijklmnopqrstuvw", size) !=
			    hash_bytes(7, "abcdefghijklmnopqrstuvw", size + 1));
}

/* Names that meet in one bucket under one seed do not under another: without the seed nobody can
 * choose them. */
static void test_seed_scatters(void **state)
{
	unsigned together = 0;

	(void)state;
	for (uint32_t name = 0, met = 0; met < 500; name++) {
		if (hash_bytes(1, &name, sizeof(name)) & 255)
			continue;
		met++;
		together += (hash_bytes(2, &name, sizeof(name)) & 255) == 0;
	}
	assert_in_range(together, 0, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_remove),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_seed_scatters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
