/* Goal: to who came by a key a line tells no model, no key, and nothing that a model server said,
 * whatever stands beside it, and nothing else is lost. Method: a table of lines as base/log writes
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "server/monitor/log_view.h"
#include "wire/sight.h"

static void test_lines(void **state)
{
	static const struct {
		const char *line, *narrow;
	} rows[] = {
		{"request path=/v1 model=m:7b outcome=ok",
		 "request path=/v1 model=\"\" outcome=ok"},
		{"request model=\"a \\\" b\" x=1", "request model=\"\" x=1"},
		{"request model=m", "request model=\"\""},
		{"request model=", "request model=\"\""},
		{"request client=\"x model=y\" model=z", "request client=\"x model=y\" model=\"\""},
		{"request client=\"\\\\\" model=z", "request client=\"\\\\\" model=\"\""},
		{"request client=xmodel=y", "request client=xmodel=y"},
		{"request model=\"cut", "request model=\"\""},
		{"two model=a model=b.", "two model=\"\" model=\"\""},
		{"made name=alice who=key:bob at=1", "made name=\"\" who=\"\" at=1"},
		{"says line=\"a prompt\" server=x", "says line=\"\" server=x"},
		{"no error=\"key \\\"a\\\" why=b\" why=c", "no error=\"\" why=\"\""},
		{"nothing of it", "nothing of it"},
		{"", ""},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_text struct text narrow = {0}, whole = {0};
		const struct sight key = sight_of("key:ci"), all = sight_of("token");
		log_view_line(rows[i].line, &key, &narrow);
		log_view_line(rows[i].line, &all, &whole);
		assert_string_equal(narrow.bytes, rows[i].narrow);
		assert_string_equal(whole.bytes, rows[i].line);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
