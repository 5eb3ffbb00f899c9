/* Goal: an origin has one form, that of browsers; what people write becomes it or is refused with
 * the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/origin.h"

static void test_becomes_what_browsers_send(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"http://localhost:5173", "http://localhost:5173"},
		{"http://LOCALHOST:5173", "http://localhost:5173"},
		{"HTTPS://App.Example:443", "https://app.example"},
		{"http://a.example:80", "http://a.example"},
		{"https://a.example:80", "https://a.example:80"},
		{"http://[::1]:80", "http://[::1]"},
		{"http://[FE80::1]:8000", "http://[fe80::1]:8000"},
		{"https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example"},
		{"chrome-extension://abcdefghijklmnopabcdefghijklmnop",
		 "chrome-extension://abcdefghijklmnopabcdefghijklmnop"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char origin[ORIGIN_BYTES_MAX + 1] = "";
		const char *problem = origin_normal(rows[i][0], origin);
		if (problem)
			fail_msg("%s: %s", rows[i][0], problem);
		assert_string_equal(origin, rows[i][1]);
		assert_true(origin_is_normal(origin));
		assert_int_equal(origin_is_normal(rows[i][0]), strcmp(rows[i][0], rows[i][1]) == 0);
	}
}

static void test_refused(void **state)
{
	(void)state;
	char longest[ORIGIN_BYTES_MAX + 2] = "http://";
	static const char *const rows[][2] = {
		{"", "does not begin"},
		{"null", "pages without an origin"},
		{"localhost:8000", "does not begin"},
		{"://a", "does not begin"},
		{"1http://a", "does not begin"},
		{"http://", "names no host"},
		{"http://:80", "names no host"},
		{"http://a/", "leave out what follows"},
		{"http://a?x", "leave out what follows"},
		{"http://a\\b", "leave out what follows"},
		{"http://*.example", "wildcard"},
		{"http://localhost:*", "wildcard"},
		{"http://a@b", "user name"},
		{"http://a b", "spaces"},
		{"http://a\n", "spaces"},
		{"http://m\xc3\xbcnchen.example", "xn--"},
		{"http://a:0", "no port"},
		{"http://a:08", "no port"},
		{"http://a:65536", "no port"},
		{"http://a:", "no port"},
		{"http://a:80:80", "no port"},
		{"http://a%2e", "letters of a host"},
		{"http://.a", "dot or a dash"},
		{"http://a.", "dot or a dash"},
		{"http://[::1", "IPv6"},
		{"http://[]", "IPv6"},
		{"http://[evil.example]", "IPv6"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char origin[ORIGIN_BYTES_MAX + 1] = "untouched";
		const char *problem = origin_normal(rows[i][0], origin);
		if (!problem || !strstr(problem, rows[i][1]))
			fail_msg("%s: %s", rows[i][0], problem ? problem : origin);
		assert_string_equal(origin, "untouched");
		assert_false(origin_is_normal(rows[i][0]));
	}
	memset(longest + 7, 'a', ORIGIN_BYTES_MAX - 6);
	assert_string_equal(origin_normal(longest, longest), "is longer than 255 bytes");
	longest[ORIGIN_BYTES_MAX] = '\0';
	assert_true(origin_is_normal(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_becomes_what_browsers_send),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
