/* Goal: numbers and sizes as people type them. Method: tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/number.h"

static void test_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"8G", 8ull << 30},   {"512M", 512u << 20}, {"1.5GiB", 1536u << 20},
		    {"4096B", 4096},      {"2k", 2048},         {"0G", 0},
		    {"1024P", 1ull << 60}};
	static const char *const bad[] = {"",   "G",    "8",    "-1G",   "8X",  "8GX", "8BB",
					  "1.", "1..G", "1e3G", "1025P", " 8G", "infG"};
	uint64_t bytes = 7;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(number_parse_size(good[i].text, &bytes));
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (number_parse_size(bad[i], &bytes))
			fail_msg("taken: '%s'", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes)};
	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
