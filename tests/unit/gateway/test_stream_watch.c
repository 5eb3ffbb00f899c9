/* Goal: however a stream is cut into pieces, the same is known of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/stream_watch.h"

static const char responses[] = "event: response.created\r\n"
				"data: "
				"{\"type\":\"response.created\",\"sequence_number\":0,\"response\":"
				"{\"id\":\"resp_7\"}}\r\n\r\n"
				"data: {\"sequence_number\": 12,\"delta\":\"a\"}\r\r: keep\n"
				"data: {\"sequence_number\":13,\"del";

static void test_pieces(void **state)
{
	(void)state;

	for (size_t piece = 1; piece < sizeof(responses); piece++) {
		struct stream_watch watch;

		stream_watch_begin(&watch);
		for (size_t at = 0; at < sizeof(responses) - 1; at += piece) {
			size_t left = sizeof(responses) - 1 - at;
			stream_watch_take(&watch, responses + at, left < piece ? left : piece);
		}
		assert_string_equal(watch.position.response_id, "resp_7");
		assert_int_equal(watch.position.sequence, 12);
		assert_int_equal(watch.events, 4);
		assert_true(watch.in_line);
		assert_false(watch.finished);
		stream_watch_finish(&watch);
	}
}

static void check_finished(const char *line, bool finished)
{
	struct stream_watch watch;

	stream_watch_begin(&watch);
	stream_watch_take(&watch, line, strlen(line));
	stream_watch_take(&watch, "\n", 1);
	assert_int_equal(watch.finished, finished);
	assert_false(watch.in_line);
	stream_watch_finish(&watch);
}

static void test_finished(void **state)
{
	(void)state;

	check_finished("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}", true);
	check_finished("data: {\"choices\":[{\"finish_reason\":null}]}", false);
	check_finished("data: {\"type\":\"message_stop\"}", true);
	check_finished("{\"model\":\"m\",\"done\":true}", true);
	check_finished("{\"model\":\"m\",\"done\":false}", false);
}

/* A line without an end costs no more than its limit. */
static void test_long_line(void **state)
{
	struct stream_watch watch;
	char *piece = malloc(100000);
	(void)state;

	memset(piece, 'a', 100000);
	stream_watch_begin(&watch);
	for (int i = 0; i < 100; i++)
		stream_watch_take(&watch, piece, 100000);
	assert_true(watch.line.capacity <= 256 * 1024);
	assert_true(watch.in_line);
	stream_watch_take(&watch, "\ndata: {\"done\":true}\n", 21);
	assert_true(watch.finished);
	stream_watch_finish(&watch);
	free(piece);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_finished),
		cmocka_unit_test(test_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
