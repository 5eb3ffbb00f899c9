/* Header fields: a line is split or refused; a block gives each field in the order it was sent,
 * from raw bytes and from a request that was parsed in place alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/fault.h"
#include "http/field.h"
#include "http/request_parser.h"

static void join(struct http_field_iterator fields, char *ret_text, size_t size)
{
	struct http_field field;
	int at = 0;
	ret_text[0] = '\0';
	while (http_field_next(&fields, &field))
		at += snprintf(ret_text + at, size - (size_t)at, "%.*s=%.*s|",
			       (int)field.name_length, field.name, (int)field.value_length,
			       field.value);
}

static void test_lines(void **state)
{
	static const struct {
		const char *line, *joined; /* NULL: refused */
	} rows[] = {
		{"A: b", "A=b|"},   {"A:b", "A=b|"},      {"A: \t b \t", "A=b|"},
		{"A:", "A=|"},      {"A: b c", "A=b c|"}, {"A: b:c", "A=b:c|"},
		{" A: b", NULL},    {"A : b", NULL},      {": b", NULL},
		{"A", NULL},        {"", NULL},           {"A: b\x01", NULL},
		{"A: b\x7f", NULL}, {"A(: b", NULL},      {"A: b\rc", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct http_field field;
		struct http_fault fault = {0};
		char text[64];
		bool fine = http_field_split(rows[i].line, strlen(rows[i].line), &field, &fault);
		if (fine != (rows[i].joined != NULL))
			fail_msg("'%s': %d", rows[i].line, fine);
		if (!fine) {
			assert_int_equal(fault.status, 400);
			continue;
		}
		(void)snprintf(text, sizeof(text), "%.*s=%.*s|", (int)field.name_length, field.name,
			       (int)field.value_length, field.value);
		assert_string_equal(text, rows[i].joined);
	}
}

/* Unknown fields and those that came twice are there, in order. */
static void test_block(void **state)
{
	static const char head[] = "GET / HTTP/1.1\r\n", end[] = "\r\n";
	static const char fields[] = "Host: h\r\nX-B:  2 \r\nx-a:\r\nAccept: a\r\nAccept: b\t\r\n";
	static const char joined[] = "Host=h|X-B=2|x-a=|Accept=a|Accept=b|";
	struct http_request_parser parser = {0};
	struct http_fault fault;
	char bytes[256], text[256];
	(void)state;
	join((struct http_field_iterator){fields, fields + sizeof(fields) - 1}, text, sizeof(text));
	assert_string_equal(text, joined);

	size_t length = (size_t)snprintf(bytes, sizeof(bytes), "%s%s%s", head, fields, end);
	assert_int_equal(http_request_parse(&parser, bytes, &length, &fault), HTTP_HEAD);
	join(http_request_fields(&parser, bytes), text, sizeof(text));
	assert_string_equal(text, joined);
}

static void test_values(void **state)
{
	uint64_t length = 7;
	(void)state;
	assert_true(http_list_has("keep-alive, Upgrade", 19, "upgrade"));
	assert_true(http_list_has("close", 5, "close"));
	assert_false(http_list_has("closed, not-close", 17, "close"));
	assert_false(http_list_has("", 0, "close"));
	assert_false(http_read_length("", 0, &length));
	assert_false(http_read_length("+1", 2, &length));
	assert_false(http_read_length("1 ", 2, &length));
	assert_false(http_read_length("1234567890123456789", 19, &length));
	assert_int_equal(length, 7);
	assert_true(http_read_length("123456789012345678", 18, &length));
	assert_int_equal(length, 123456789012345678);
}

/* Fields that a Connection field names, wherever it stands. */
static void test_hops(void **state)
{
	static const char block[] = "X-One: 1\r\nConnection: keep-alive, x-one\r\nX-On: 1\r\n"
				    "connection:X-TWO,,\tx-three \r\nx-two: 2\r\nX-Three: 3\r\n"
				    "X-Four: 4\r\n";
	static const bool hops[] = {true, false, false, false, true, true, false};
	char flood[2048];
	struct http_field_iterator fields = {block, block + sizeof(block) - 1};
	struct http_hop_names names = http_hop_names(fields);
	struct http_field field;
	(void)state;

	for (size_t i = 0; http_field_next(&fields, &field); i++)
		assert_int_equal(http_is_hop(&names, &field), hops[i]);

	int length = snprintf(flood, sizeof(flood),
			      "Connection: %01000d\r\nConnection: x\r\nX: y\r\n", 0);
	fields = (struct http_field_iterator){flood, flood + length};
	names = http_hop_names(fields);
	for (bool hop = false; http_field_next(&fields, &field); hop = http_is_hop(&names, &field))
		assert_false(hop);
	assert_true(http_is_hop(&names, &field));
	assert_int_equal(http_hop_names((struct http_field_iterator){flood, flood}).length, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_block),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_hops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
