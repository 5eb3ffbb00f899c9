/* Goal: a text holds what was added, whatever the value, and a value never leaves its log line.
 * Method: exact bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/text.h"

/* Numbers, signs and the extremes. */
static void test_numbers(void **state)
{
	(void)state;
	struct text text;
	text_init(&text);
	text_u64(&text, UINT64_MAX);
	text_char(&text, ' ');
	text_i64(&text, INT64_MIN);
	text_char(&text, ' ');
	text_u64(&text, 0);
	assert_string_equal(text.bytes, "18446744073709551615 -9223372036854775808 0");
	text_finish(&text);
}

/* Milliseconds become seconds without a float: no 0.30000000000000004. */
static void test_seconds(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {{0, "0"},        {1, "0.001"},
		    {300, "0.3"},    {1500, "1.5"},
		    {2000, "2"},     {2050, "2.05"},
		    {-1, "-0.001"},  {-2500, "-2.5"},
		    {100000, "100"}, {INT64_MIN, "-9223372036854775.808"}};
	struct text text;
	text_init(&text);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text_clear(&text);
		text_seconds(&text, rows[i].ms);
		assert_string_equal(text.bytes, rows[i].text);
	}
	text_finish(&text);
}

/* A value never ends its log line or hides a part of it (CASES.md C39, P44). */
static void test_log_injection(void **state)
{
	(void)state;
	struct text text;
	text_init(&text);
	text_str(&text, "queued");
	text_log_str(&text, "client",
		     "x\n2026-01-01 RELEASED by \"nobody\"\r\x1b[31m\xe2\x80\xae"
		     "a\\");
	assert_null(strpbrk(text.bytes, "\n\r\x1b"));
	assert_string_equal(
		text.bytes,
		"queued client=\"x\\n2026-01-01 RELEASED by \\\"nobody\\\"\\x0d\\x1b[31m"
		"\\xe2\\x80\\xaea\\\\\"");
	text_finish(&text);
}

/* The buffer grows past any first size, and clearing keeps its memory. */
static void test_growth(void **state)
{
	(void)state;
	struct text text;
	text_init(&text);
	for (int i = 0; i < 10000; i++)
		text_format(&text, "%04d,", i);
	assert_int_equal(text.length, 50000);
	assert_memory_equal(text.bytes + 49995, "9999,", 5);
	size_t capacity = text.capacity;
	text_clear(&text);
	assert_int_equal(text.length, 0);
	assert_string_equal(text.bytes, "");
	assert_int_equal(text.capacity, capacity);
	text_finish(&text);
	text_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_log_injection),
		cmocka_unit_test(test_growth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
