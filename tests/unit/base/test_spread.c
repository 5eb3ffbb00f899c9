/* spread: means and quantiles are right to a bucket's width, and what is old weighs less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/spread.h"

static struct spread hundred(void)
{
	struct spread spread = {0};

	for (int i = 1; i <= 100; i++)
		spread_add(&spread, i * 100);
	return spread;
}

/* Nothing is known of an empty one. */
static void test_empty(void **state)
{
	struct spread spread = {0};

	(void)state;
	assert_int_equal(spread_quantile(&spread, 500), -1);
	assert_int_equal(spread_rest(&spread, 0, 1000), -1);
	assert_int_equal(spread_total(&spread), 0);
}

static void test_quantiles(void **state)
{
	struct spread spread = hundred();

	(void)state;
	assert_in_range(spread_quantile(&spread, 500), 4700, 5300);
	assert_in_range(spread_quantile(&spread, 900), 8600, 9400);
	assert_in_range(spread_quantile(&spread, 0), 0, 112);
	assert_in_range(spread_quantile(&spread, 1000), 9800, 10240);
}

/* The rest of those that lasted so long already; a limit cuts all of them. */
static void test_rest(void **state)
{
	struct spread spread = hundred();

	(void)state;
	assert_in_range(spread_rest(&spread, 0, INT32_MAX), 4900, 5200);
	assert_in_range(spread_rest(&spread, 8000, INT32_MAX), 900, 1150);
	assert_in_range(spread_rest(&spread, 5000, 100), 90, 100);
	assert_int_equal(spread_rest(&spread, 20000, INT32_MAX), -1);
}

/* What is beyond all buckets is in the last; what is below 0, in the first. */
static void test_ends(void **state)
{
	struct spread spread = {0};

	(void)state;
	spread_add(&spread, -5);
	spread_add(&spread, INT64_MAX);
	assert_int_equal(spread.counts[0], SPREAD_ONE);
	assert_int_equal(spread.counts[SPREAD_BUCKETS - 1], SPREAD_ONE);
	for (int64_t n = 1; n < INT64_MAX / 8; n = n * 5 / 4 + 1)
		spread_add(&spread, n);
	assert_true(spread_quantile(&spread, 1000) > 0);
}

/* A fade takes one part in 32, and in the end all of it. */
static void test_fade(void **state)
{
	struct spread spread = hundred();
	uint64_t before = spread_total(&spread);

	(void)state;
	spread_fade(&spread);
	assert_in_range(spread_total(&spread), before * 30 / 32, before * 31 / 32);
	for (int i = 0; i < 512; i++)
		spread_fade(&spread);
	assert_int_equal(spread_total(&spread), 0);
}

/* A number added without end overflows nothing, and hides nothing that came as often. */
static void test_many(void **state)
{
	struct spread spread = {0}, mix = {0};

	(void)state;
	for (int i = 0; i < 1000000; i++)
		spread_add(&spread, i % 2 ? 100 : 3000);
	for (int i = 0; i < 3; i++)
		spread_mix(&mix, &spread, 16);
	assert_in_range(spread_quantile(&mix, 250), 96, 112);
	assert_in_range(spread_quantile(&mix, 750), 2560, 3072);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty), cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_rest),  cmocka_unit_test(test_ends),
		cmocka_unit_test(test_fade),  cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
