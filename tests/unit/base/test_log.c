/* log: one event is one line whatever a client put into it, levels hold, and a reader that does not
 * read costs lines, not time (CASES.md C 16, 39; P44). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

struct seen {
	struct log log;
	int pipe[2];
	unsigned lines;
	char text[LOG_LINE_BYTES], read[2 * LOG_LINE_BYTES];
	size_t length;
};

static struct wall_ms fixed_time(void)
{
	return (struct wall_ms){1767225600123}; /* 2026-01-01T00:00:00.123Z */
}

static void sink(void *ctx, const struct log_line *line)
{
	struct seen *seen = ctx;
	seen->lines++;
	seen->length = line->length;
	memcpy(seen->text, line->text, line->length + 1);
}

static struct seen *open_seen(enum log_level level)
{
	struct seen *seen = calloc(1, sizeof *seen);
	assert_non_null(seen);
	assert_int_equal(pipe(seen->pipe), 0);
	log_init(&seen->log, level, seen->pipe[1], fixed_time);
	log_set_sink(&seen->log, sink, seen);
	return seen;
}

static const char *read_pipe(struct seen *seen)
{
	assert_int_equal(fcntl(seen->pipe[0], F_SETFL, O_NONBLOCK), 0);
	ssize_t n = read(seen->pipe[0], seen->read, sizeof seen->read - 1);
	seen->read[n < 0 ? 0 : n] = '\0';
	return seen->read;
}

static void close_seen(struct seen *seen)
{
	(void)close(seen->pipe[0]);
	(void)close(seen->pipe[1]);
	free(seen);
}

/* The form of a line; no colour where there is no terminal. The sink gets words and fields. */
static void test_form(void **state)
{
	(void)state;
	struct seen *seen = open_seen(LOG_INFO);
	log_event(&seen->log, LOG_INFO, "granted", log_str("client", "curl"), log_int("fence", -7),
		  log_str("why", "two words"), log_str("none", NULL));
	assert_string_equal(read_pipe(seen),
			    "2026-01-01T00:00:00.123Z info granted client=curl fence=-7 "
			    "why=\"two words\" none=\"\"\n");
	assert_string_equal(seen->text, "granted client=curl fence=-7 why=\"two words\" none=\"\"");
	log_write(&seen->log, LOG_WARN, "bare", NULL, 0);
	assert_string_equal(read_pipe(seen), "2026-01-01T00:00:00.123Z warn bare\n");
	close_seen(seen);
}

/* C39: no value can begin a line, end one, colour one, or look like another field. */
static void test_no_forgery(void **state)
{
	(void)state;
	static const struct {
		const char *value;
		size_t length;
		const char *shown;
	} rows[] = {
		{"x\n2026-01-01 RELEASED by nobody", 31, "\"x\\n2026-01-01 RELEASED by nobody\""},
		{"a\r\tb", 4, "\"a\\r\\tb\""},
		{"\x1b[31m", 5, "\"\\x1b[31m\""},
		{"a\0b", 3, "\"a\\x00b\""},
		{"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
		{"a lease=7", 9, "\"a lease=7\""},
		{"a=b", 3, "\"a=b\""},
		{"\xe2\x80\xae"
		 "txt",
		 6, "\"\\xe2\\x80\\xaetxt\""}, /* right-to-left override */
		{"\xff\x7f", 2, "\"\\xff\\x7f\""},
		{"plain-1", 7, "plain-1"},
	};
	struct seen *seen = open_seen(LOG_DEBUG);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char expected[128];
		log_event(&seen->log, LOG_INFO, "lock",
			  log_bytes("id", rows[i].value, rows[i].length));
		(void)snprintf(expected, sizeof expected, "lock id=%s", rows[i].shown);
		assert_string_equal(seen->text, expected);
	}
	close_seen(seen);
}

/* A value of 20 MB is cut to the line, its quotes closed, and its last escape is whole. */
static void test_cut(void **state)
{
	(void)state;
	enum { SIZE = 20 * 1000 * 1000 };
	struct seen *seen = open_seen(LOG_INFO);
	char *huge = malloc(SIZE);
	assert_non_null(huge);
	memset(huge, 1, SIZE);
	log_event(&seen->log, LOG_INFO, "lock", log_bytes("id", huge, SIZE), log_int("n", 1));
	const char *line = read_pipe(seen);
	size_t length = strlen(line);
	assert_true(length <= LOG_LINE_BYTES);
	assert_int_equal(line[length - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + length - 1);
	char out[16];
	assert_int_equal(log_escape(out, sizeof out, huge, SIZE), 14);
	assert_string_equal(out, "\"\\x01\\x01\\x01\"");
	free(huge);
	close_seen(seen);
}

/* Lines above the level are not made; every level has a name that leads back to it. */
static void test_levels(void **state)
{
	(void)state;
	struct seen *seen = open_seen(LOG_WARN);
	enum log_level level = LOG_DEBUG;
	log_write(&seen->log, LOG_INFO, "no", NULL, 0);
	log_write(NULL, LOG_ERROR, "no", NULL, 0);
	assert_int_equal(seen->lines, 0);
	log_write(&seen->log, LOG_ERROR, "yes", NULL, 0);
	assert_int_equal(seen->lines, 1);
	for (enum log_level i = LOG_ERROR; i < LOG_LEVEL_COUNT; i++) {
		assert_true(log_level_from_name(log_level_name(i), &level));
		assert_int_equal(level, i);
	}
	assert_false(log_level_from_name("loud", &level));
	close_seen(seen);
}

/* P37: a full pipe does not stop the writer; the sink still gets every line, and the next line that
 * goes out tells how many did not. */
static void test_full_pipe(void **state)
{
	(void)state;
	struct seen *seen = open_seen(LOG_INFO);
	char text[1000];
	memset(text, 't', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (int i = 0; i < 1000; i++)
		log_event(&seen->log, LOG_INFO, "line", log_str("text", text));
	assert_int_equal(seen->lines, 1000);
	assert_true(seen->log.lost > 0);
	while (*read_pipe(seen))
		;
	log_write(&seen->log, LOG_INFO, "after", NULL, 0);
	assert_non_null(strstr(read_pipe(seen), "after log_lines_lost="));
	assert_int_equal(seen->log.lost, 0);
	close_seen(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),      cmocka_unit_test(test_no_forgery),
		cmocka_unit_test(test_cut),       cmocka_unit_test(test_levels),
		cmocka_unit_test(test_full_pipe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
