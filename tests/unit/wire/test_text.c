/* Goal: what text writes is what a strict reader takes, whatever the value. Method: exact bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "wire/text.h"

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

/* Commas come by themselves, nested or not; strings are escaped; NULL is null. */
static void test_json(void **state)
{
	(void)state;
	struct text text;
	text_init(&text);
	text_char(&text, '{');
	text_json_str(&text, "a", "q\" b\\ n\n e\x1b d\x7f u\xc3\xa9 \xe2\x80\xa8.");
	text_json_str(&text, "b{", NULL);
	text_json_key(&text, "c");
	text_char(&text, '[');
	text_json_item(&text);
	text_u64(&text, 1);
	text_json_item(&text);
	text_u64(&text, 2);
	text_char(&text, ']');
	text_json_bool(&text, "d", true);
	text_json_i64(&text, "e", -5);
	text_json_seconds_or_null(&text, "f", -1);
	text_json_seconds(&text, "g", 1500);
	text_char(&text, '}');
	assert_string_equal(text.bytes,
			    "{\"a\":\"q\\\" b\\\\ n\\n e\\u001b d\\u007f u\xc3\xa9 \\u2028.\","
			    "\"b{\":null,\"c\":[1,2],\"d\":true,\"e\":-5,\"f\":null,\"g\":1.5}");
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
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_json),    cmocka_unit_test(test_log_injection),
		cmocka_unit_test(test_growth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
