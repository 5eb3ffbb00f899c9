/* Goal: what GET /metrics says is read by any Prometheus: the rules that promtool's lint knows,
 * over all that is rendered. Method: a strict reader of the text format that keeps each family's
 * head and checks every sample against it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/histogram.h"
#include "base/text.h"
#include "core/config.h"
#include "wire/metrics_encode.h"

enum { FAMILIES_MAX = 64, VRAM_HISTORY_MAX = 1024, LINE_BYTES = 256 };

struct lint {
	char families[FAMILIES_MAX][LINE_BYTES], types[FAMILIES_MAX][LINE_BYTES];
	char series[VRAM_HISTORY_MAX][LINE_BYTES]; /* name and labels */
	size_t family_count, series_count;
	char name[LINE_BYTES], type[LINE_BYTES]; /* of the family that is open */
	double below, limit, sum;                /* of the histogram series that is open */
	bool complete;                           /* its +Inf was seen */
};

static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
	return strspn(name, letters) > 0 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(name);
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);
	return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void open_family(struct lint *lint, const char *line)
{
	char help[LINE_BYTES];
	assert_int_equal(sscanf(line, "# HELP %255s %255[^\n]", lint->name, help), 2);
	assert_true(is_name(lint->name));
	assert_true(strncmp(lint->name, "baton_", 6) == 0);
	assert_int_equal(help[strlen(help) - 1], '.');
	for (size_t i = 0; i < lint->family_count; i++)
		assert_string_not_equal(lint->families[i], lint->name); /* all of one together */
	assert_true(lint->family_count < FAMILIES_MAX);
	snprintf(lint->families[lint->family_count++], LINE_BYTES, "%s", lint->name);
}

static void take_type(struct lint *lint, const char *line)
{
	char name[LINE_BYTES];
	assert_int_equal(sscanf(line, "# TYPE %255s %255s", name, lint->type), 2);
	assert_string_equal(name, lint->name);
	bool counter = strcmp(lint->type, "counter") == 0;
	assert_true(counter || strcmp(lint->type, "gauge") == 0 ||
		    strcmp(lint->type, "histogram") == 0);
	assert_int_equal(counter, ends_with(name, "_total"));
	assert_false(ends_with(name, "_bucket") || ends_with(name, "_count") ||
		     ends_with(name, "_sum"));
	lint->below = lint->sum = 0;
	lint->limit = -INFINITY;
	lint->complete = true;
}

/* Buckets rise in limit and in count, +Inf is the count, and sum and count follow. */
static void take_histogram(struct lint *lint, const char *suffix, const char *labels, double value)
{
	const char *le = strstr(labels, "le=\"");
	if (strcmp(suffix, "_bucket") == 0) {
		assert_non_null(le);
		if (lint->complete) {
			lint->below = 0;
			lint->limit = -INFINITY;
		}
		double limit = strncmp(le + 4, "+Inf", 4) == 0 ? INFINITY : strtod(le + 4, NULL);
		assert_true(limit > lint->limit);
		assert_true(value >= lint->below);
		lint->limit = limit;
		lint->below = value;
		lint->complete = isinf(limit);
		return;
	}
	assert_true(lint->complete);
	assert_null(le);
	assert_true(strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0);
	if (strcmp(suffix, "_count") == 0)
		assert_true(value == lint->below);
	else
		assert_true(value >= 0);
}

static void take_sample(struct lint *lint, const char *line)
{
	char key[LINE_BYTES], *end;
	const char *space = strrchr(line, ' ');
	assert_non_null(space);
	snprintf(key, sizeof(key), "%.*s", (int)(space - line), line);
	double value = strtod(space + 1, &end);
	assert_int_equal(*end, '\0');
	for (size_t i = 0; i < lint->series_count; i++)
		assert_string_not_equal(lint->series[i], key); /* no series twice */
	assert_true(lint->series_count < VRAM_HISTORY_MAX);
	snprintf(lint->series[lint->series_count++], LINE_BYTES, "%s", key);
	size_t length = strlen(lint->name);
	assert_true(strncmp(key, lint->name, length) == 0);
	char suffix[LINE_BYTES];
	snprintf(suffix, sizeof(suffix), "%.*s", (int)strcspn(key + length, "{"), key + length);
	if (strcmp(lint->type, "histogram") == 0)
		take_histogram(lint, suffix, key + length + strlen(suffix), value);
	else
		assert_string_equal(suffix, "");
}

static void check(struct lint *lint, const struct text *text)
{
	assert_int_equal(text->bytes[text->length - 1], '\n');
	for (const char *at = text->bytes; *at; at = strchr(at, '\n') + 1) {
		char line[LINE_BYTES];
		size_t length = strcspn(at, "\n");
		assert_true(length > 0 && length < sizeof(line));
		snprintf(line, sizeof(line), "%.*s", (int)length, at);
		if (strncmp(line, "# HELP ", 7) == 0)
			open_family(lint, line);
		else if (strncmp(line, "# TYPE ", 7) == 0)
			take_type(lint, line);
		else
			take_sample(lint, line);
	}
}

static void test_all(void **state)
{
	(void)state;
	static struct lint lint;
	static struct histogram waits[LEASE_CLASS_COUNT], holds[LEASE_CLASS_COUNT];
	static const struct gpu_config config[] = {
		{.name = "gpu0", .vram_bytes_total = 1 << 30, .vram_known = true, .slots = 1},
		{.name = "a \"b\"", .slots = 2}};
	const struct gpu_view gpus[] = {{.config = &config[0], .used_known = true},
					{.config = &config[1]}};
	const struct core_stats stats = {.granted = {1, 2, 3, 4}};
	struct text out;
	for (int64_t ms = 1; ms < 10000000; ms *= 3) {
		histogram_add(&waits[LEASE_VOICE], ms);
		histogram_add(&holds[LEASE_BACKGROUND], ms);
	}
	text_init(&out);
	metrics_encode(&out, &stats);
	metrics_encode_gpus(&out, gpus, 2);
	metrics_encode_histograms(&out, "baton_wait_seconds", "Waits.", waits);
	metrics_encode_histograms(&out, "baton_hold_seconds", "Holds.", holds);
	check(&lint, &out);
	text_finish(&out);
}

/* The numbers themselves: limits in seconds, counts summed up. */
static void test_histogram(void **state)
{
	(void)state;
	struct histogram waits[LEASE_CLASS_COUNT] = {0};
	struct text out;
	histogram_add(&waits[LEASE_CHAT], 40);
	histogram_add(&waits[LEASE_CHAT], 2500);
	histogram_add(&waits[LEASE_CHAT], 4000000);
	text_init(&out);
	metrics_encode_histograms(&out, "baton_wait_seconds", "Waits.", waits);
	static const char *const lines[] = {
		"# TYPE baton_wait_seconds histogram\n",
		"\nbaton_wait_seconds_bucket{class=\"chat\",le=\"0.05\"} 1\n",
		"\nbaton_wait_seconds_bucket{class=\"chat\",le=\"1\"} 1\n",
		"\nbaton_wait_seconds_bucket{class=\"chat\",le=\"2.5\"} 2\n",
		"\nbaton_wait_seconds_bucket{class=\"chat\",le=\"3600\"} 2\n",
		"\nbaton_wait_seconds_bucket{class=\"chat\",le=\"+Inf\"} 3\n",
		"\nbaton_wait_seconds_sum{class=\"chat\"} 4002.54\n",
		"\nbaton_wait_seconds_count{class=\"chat\"} 3\n",
		"\nbaton_wait_seconds_count{class=\"voice\"} 0\n",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_non_null(strstr(out.bytes, lines[i]));
	text_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_histogram),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
