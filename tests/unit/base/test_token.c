/* Goal: secrets are equal only when all their bytes are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/token.h"

/* One flipped bit anywhere makes it another token. */
static void test_each_bit_counts(void **state)
{
	uint8_t a[16] = {1, 2, 3}, b[16] = {1, 2, 3};

	(void)state;
	assert_true(token_bytes_equal(a, b, sizeof(a)));
	assert_true(token_bytes_hash(a, sizeof(a)) == token_bytes_hash(b, sizeof(b)));
	for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
		b[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_false(token_bytes_equal(a, b, sizeof(a)));
		b[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_bit_counts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
