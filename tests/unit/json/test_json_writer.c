/* Goal: what is written is what a strict reader takes, whatever the value. Method: exact bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/json_writer.h"

/* Commas come by themselves, nested or not; strings are escaped; NULL is null. */
static void test_values(void **state)
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

/* What looks like a line separator and is none stays as it is, as does text up to its end. */
static void test_strings(void **state)
{
	static const struct {
		const char *string, *json;
	} rows[] = {
		{"", "\"\""},
		{"\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\""},
		{"\xe2\x80\xa7\xe2\x82\xac\xe2", "\"\xe2\x80\xa7\xe2\x82\xac\xe2\""},
		{"\x01\t\"\\", "\"\\u0001\\u0009\\\"\\\\\""},
		{"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
	};
	struct text text = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		text_clear(&text);
		text_json_string(&text, rows[i].string);
		assert_string_equal(text.bytes, rows[i].json);
	}
	text_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_strings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
