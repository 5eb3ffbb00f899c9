/* Goal: what people type as sizes, times and signals means what they think, or is refused. Method:
 * tables of text and number, both ways. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "baton/baton.h"
#include "cli/units.h"

/* Sizes are binary and need a unit: "8" could be anything. */
static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"8G", 8ull << 30},     {"8g", 8ull << 30},
		{"8GB", 8ull << 30},    {"8GiB", 8ull << 30},
		{"512M", 512ull << 20}, {"1.5T", 3ull << 39},
		{"1024K", 1ull << 20},  {"7B", 7},
		{"0.5G", 1ull << 29},   {"0G", 0},
	};
	static const char *const bad[] = {"",    "8",    "G",   "-8G", "8X",  "8Gi", "8GG",
					  "8 G", "1e9G", ".5G", "8.G", "+8G", "8Bi", "99999999P"};
	uint64_t bytes;
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(units_parse_size(good[i].text, &bytes));
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(units_parse_size(bad[i], &bytes));
}

/* Times: seconds when bare, units may be added up. */
static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{"90", 90000},     {"90s", 90000},   {"5m", 300000}, {"1h30m", 5400000},
		{"2d", 172800000}, {"500ms", 500},   {"1.5s", 1500}, {"0", 0},
		{"0.25", 250},     {"1m30s", 90000},
	};
	static const char *const bad[] = {"",    "s",    "-5s",      "5x",
					  "5 m", "1h30", "5minutes", "1e3",
					  "5m-", "ms",   "1..5s",    "99999999999999999h"};
	int64_t ms;
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(units_parse_duration(good[i].text, &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(units_parse_duration(bad[i], &ms));
}

/* Signals by name, short name and number. */
static void signals(void **state)
{
	int signo;
	(void)state;
	assert_true(units_parse_signal("TERM", &signo) && signo == SIGTERM);
	assert_true(units_parse_signal("sigusr1", &signo) && signo == SIGUSR1);
	assert_true(units_parse_signal("10", &signo) && signo == 10);
	assert_false(units_parse_signal("0", &signo));
	assert_false(units_parse_signal("NOPE", &signo));
	assert_false(units_parse_signal("SIG", &signo));
	assert_false(units_parse_signal("999", &signo));
}

static void counts(void **state)
{
	uint32_t count;
	(void)state;
	assert_true(units_parse_count("16", &count) && count == 16);
	assert_false(units_parse_count("-1", &count));
	assert_false(units_parse_count("1x", &count));
	assert_false(units_parse_count("9999999999", &count));
}

/* No number is taken for "all". */
static void slots(void **state)
{
	uint32_t count;
	(void)state;
	assert_true(units_parse_slots("all", &count) && count == BATON_SLOTS_ALL);
	assert_true(units_parse_slots("0", &count) && count == 0);
	assert_true(units_parse_slots("16", &count) && count == 16);
	assert_false(units_parse_slots("4294967295", &count));
	assert_false(units_parse_slots("ALL", &count));
	assert_false(units_parse_slots("all of them", &count));
	assert_false(units_parse_slots("", &count));
}

/* What tables show is short and never lies by more than it rounds. */
static void shown(void **state)
{
	char out[UNITS_BYTES];
	(void)state;
	assert_string_equal(units_duration(out, -1), "-");
	assert_string_equal(units_duration(out, 0.44), "0.4s");
	assert_string_equal(units_duration(out, 9.99), "10s");
	assert_string_equal(units_duration(out, 59.4), "59s");
	assert_string_equal(units_duration(out, 59.6), "1m 00s");
	assert_string_equal(units_duration(out, 200), "3m 20s");
	assert_string_equal(units_duration(out, 3599.9), "1h 00m");
	assert_string_equal(units_duration(out, 7500), "2h 05m");
	assert_string_equal(units_duration(out, 90000), "1d 1h");
	assert_string_equal(units_mb(out, -1), "?");
	assert_string_equal(units_mb(out, 512), "512M");
	assert_string_equal(units_mb(out, 24576), "24.0G");
	assert_string_equal(units_mb(out, 2097152), "2.0T");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes), cmocka_unit_test(durations), cmocka_unit_test(signals),
		cmocka_unit_test(slots), cmocka_unit_test(counts),    cmocka_unit_test(shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
