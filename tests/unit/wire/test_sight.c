/* Goal: who came by a key is told of itself, and of others neither on whose behalf nor for what;
 * all others, and operators, are told all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/sight.h"

static void test_who_is_told(void **state)
{
	static const char *const wide[] = {NULL, "token", "uid:1000", "origin:http://key:1"};
	const struct sight key = sight_of("key:ci");
	(void)state;

	for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
		const struct sight sight = sight_of(wide[i]);
		assert_true(sight_tells(&sight, "key:ci"));
		assert_true(sight_tells_field(&sight, "model", 5));
	}
	assert_true(sight_tells(NULL, "key:ci"));
	assert_true(sight_tells(&key, "key:ci"));
	assert_false(sight_tells(&key, "key:c"));
	assert_false(sight_tells(&key, "token"));
	assert_false(sight_tells_field(&key, "principal=", 9));
	assert_true(sight_tells_field(&key, "principals", 10));
}

static void test_a_key_is_no_name(void **state)
{
	(void)state;
	assert_string_equal(sight_public_name("key:ci"), "unnamed");
	assert_string_equal(sight_public_name("token"), "token");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_told),
		cmocka_unit_test(test_a_key_is_no_name),
	};
	return cmocka_run_group_tests_name("sight", tests, NULL, NULL);
}
