/* Goal: what a request says of tags, packing and parts is read as RFC 9110 has it, and what is
 * malformed counts as not said. Method: tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/pages/http_conditional.h"

static void test_etags(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		bool known;
	} rows[] = {
		{NULL, false},
		{"", false},
		{"\"abc\"", true},
		{"W/\"abc\"", true},
		{"*", true},
		{"\"x\", \"abc\"", true},
		{" \t\"x\" ,W/\"y\",\"abc\"", true},
		{"\"abc", false},
		{"abc", false},
		{"\"ab\"", false},
		{"\"abcd\"", false},
		{"\"abc-gz\"", false},
		{"\"ABC\"", false},
		{"w/\"abc\"", false},
		{"\"x\" abc", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (http_conditional_etag_known(rows[i].header, "\"abc\"") != rows[i].known)
			fail_msg("%s", rows[i].header);
}

static void test_gzip(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		bool taken;
	} rows[] = {
		{NULL, false},
		{"", false},
		{"gzip", true},
		{"gzip, deflate, br, zstd", true},
		{"br;q=1.0, GZIP;q=0.5", true},
		{"deflate,gzip", true},
		{"gzip;q=0", false},
		{"gzip; q=0.000", false},
		{"gzip;q=0.001", true},
		{"gzip;q=", true},
		{"identity", false},
		{"x-gzip", false},
		{"gzipped", false},
		{"*", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (http_conditional_takes_gzip(rows[i].header) != rows[i].taken)
			fail_msg("%s", rows[i].header);
}

static void test_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		uint64_t size;
		enum http_conditional_range what;
		uint64_t first, last;
	} rows[] = {
		{NULL, 100, RANGE_WHOLE, 0, 0},
		{"bytes=0-0", 100, RANGE_PART, 0, 0},
		{"bytes=0-", 100, RANGE_PART, 0, 99},
		{"bytes=10-19", 100, RANGE_PART, 10, 19},
		{"Bytes=99-1000", 100, RANGE_PART, 99, 99},
		{"bytes=-1", 100, RANGE_PART, 99, 99},
		{"bytes=-500", 100, RANGE_PART, 0, 99},
		{"bytes=100-", 100, RANGE_OUTSIDE, 0, 0},
		{"bytes=-0", 100, RANGE_OUTSIDE, 0, 0},
		{"bytes=0-", 0, RANGE_OUTSIDE, 0, 0},
		{"bytes=-5", 0, RANGE_OUTSIDE, 0, 0},
		{"bytes=5-4", 100, RANGE_WHOLE, 0, 0},
		{"bytes=", 100, RANGE_WHOLE, 0, 0},
		{"bytes=-", 100, RANGE_WHOLE, 0, 0},
		{"bytes=1", 100, RANGE_WHOLE, 0, 0},
		{"bytes=1-2,4-5", 100, RANGE_WHOLE, 0, 0},
		{"bytes=1-2 ", 100, RANGE_WHOLE, 0, 0},
		{"bytes=+1-2", 100, RANGE_WHOLE, 0, 0},
		{"bytes=1-0x2", 100, RANGE_WHOLE, 0, 0},
		{"lines=1-2", 100, RANGE_WHOLE, 0, 0},
		{"bytes=99999999999999999999-", 100, RANGE_WHOLE, 0, 0},
		{"bytes=0-999999999999999999", UINT64_C(1) << 40, RANGE_PART, 0,
		 (UINT64_C(1) << 40) - 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t first = 0, last = 0;
		if (http_conditional_range(rows[i].header, rows[i].size, &first, &last) !=
			    rows[i].what ||
		    first != rows[i].first || last != rows[i].last)
			fail_msg("%s", rows[i].header);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_etags),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
