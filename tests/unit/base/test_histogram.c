/* Goal: each duration is counted once, at its limit or below. Method: the limits themselves, one
 * more and one less, and what is out of range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/histogram.h"

static void test_limits(void **state)
{
	struct histogram h = {0};
	uint64_t sum_ms = 0;
	(void)state;
	for (size_t i = 0; i < HISTOGRAM_LIMITS; i++) {
		assert_true(i == 0 || histogram_limits_ms[i] > histogram_limits_ms[i - 1]);
		histogram_add(&h, histogram_limits_ms[i]);
		histogram_add(&h, histogram_limits_ms[i] + 1);
		sum_ms += 2 * (uint64_t)histogram_limits_ms[i] + 1;
	}
	assert_int_equal(h.counts[0], 1);
	for (size_t i = 1; i < HISTOGRAM_LIMITS; i++)
		assert_int_equal(h.counts[i], 2);
	assert_int_equal(h.counts[HISTOGRAM_LIMITS], 1);
	assert_int_equal(h.sum_ms, sum_ms);
}

static void test_extremes(void **state)
{
	struct histogram h = {0};
	(void)state;
	histogram_add(&h, -5);
	histogram_add(&h, 0);
	histogram_add(&h, INT64_MAX);
	assert_int_equal(h.counts[0], 2);
	assert_int_equal(h.counts[HISTOGRAM_LIMITS], 1);
	assert_int_equal(h.sum_ms, INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_extremes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
