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

		stream_watch_begin(&watch, API_RESPONSES);
		for (size_t at = 0; at < sizeof(responses) - 1; at += piece) {
			size_t left = sizeof(responses) - 1 - at;
			stream_watch_take(&watch, responses + at, left < piece ? left : piece);
		}
		assert_string_equal(watch.position.response_id, "resp_7");
		assert_int_equal(watch.position.sequence, 12);
		assert_false(watch.finished);
		stream_watch_finish(&watch);
	}
}

static void check_says(enum api_wire wire, const char *line, bool finished, bool failed)
{
	for (unsigned ended = 0; ended < 2; ended++) {
		struct stream_watch watch;

		stream_watch_begin(&watch, wire);
		stream_watch_take(&watch, line, strlen(line));
		if (ended)
			stream_watch_take(&watch, "\n", 1);
		assert_int_equal(stream_watch_end(&watch), finished || failed);
		assert_int_equal(watch.finished, finished);
		assert_int_equal(watch.failed, failed);
		stream_watch_finish(&watch);
	}
}

static void test_finished(void **state)
{
	(void)state;

	check_says(API_OPENAI, "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}",
		   true, false);
	check_says(API_OPENAI, "data: {\"choices\": [{\"finish_reason\" : \"stop\"}]}", true,
		   false);
	check_says(API_OPENAI, "data: {\"choices\":[{\"finish_reason\":null}]}", false, false);
	check_says(API_OPENAI, "data: {\"choices\":[{\"finish_reason\":\"\"}]}", false, false);
	check_says(API_OPENAI, "data: {\"content\":\"\\\"finish_reason\\\":\\\"stop\\\" [DONE]\"}",
		   false, false);
	check_says(API_OPENAI, "data:[DONE]", true, false);
	check_says(API_OPENAI, "data: {\"type\":\"image_generation.completed\"}", true, false);
	check_says(API_OPENAI, "data: {\"error\": {\"message\":\"x\"}}", false, true);
	check_says(API_OPENAI, "data: {\"error\":null}", false, false);
	check_says(API_ANTHROPIC, "data: {\"type\":\"message_stop\"}", true, false);
	check_says(API_ANTHROPIC, "data: {\"delta\":{\"stop_reason\":\"end_turn\"}}", true, false);
	check_says(API_ANTHROPIC, "data: {\"stop_reason\":null}", false, false);
	check_says(API_ANTHROPIC, "data: {\"type\":\"error\",\"error\":{}}", false, true);
	check_says(API_RESPONSES, "data: {\"type\":\"response.output_text.done\"}", false, false);
	check_says(API_RESPONSES, "data: {\"type\":\"response.completed\"}", true, false);
	check_says(API_RESPONSES, "data: {\"type\":\"response.failed\"}", false, true);
	check_says(API_OLLAMA, "{\"model\":\"m\",\"done\":true}", true, false);
	check_says(API_OLLAMA, "{\"model\":\"m\",\"done\": true}", true, false);
	check_says(API_OLLAMA, "{\"model\":\"m\",\"done\":false}", false, false);
	check_says(API_OLLAMA, "{\"error\":\"out of memory\"}", false, true);
}

/* The bytes that may go on, of each piece: `|` stands where a piece ends, `^` where it should be
 * cut. */
static void check_whole(enum api_wire wire, const char *pieces)
{
	struct stream_watch watch;

	stream_watch_begin(&watch, wire);
	while (*pieces) {
		char piece[128];
		size_t length = 0, whole = 0;

		for (; *pieces && *pieces != '|'; pieces++) {
			if (*pieces == '^')
				whole = length;
			else
				piece[length++] = *pieces;
		}
		pieces += *pieces == '|';
		assert_int_equal(stream_watch_take(&watch, piece, length), whole);
	}
	stream_watch_finish(&watch);
}

static void test_whole_events(void **state)
{
	(void)state;

	check_whole(API_OPENAI, "data: a\n\n^da|ta: b|\n|\n^");
	check_whole(API_OPENAI, "data: a\r\n\r\n^data: b\r|\n\r^|\n^data: c");
	check_whole(API_OPENAI, "data: a\r\r^data: b\r|\r^");
	check_whole(API_OPENAI, ": lives\n^|: li|ves\n^event: a\n: inside\ndata: b\n|\n^");
	check_whole(API_ANTHROPIC, "event: a\n|data: b\n\n^event: c\n");
	check_whole(API_OLLAMA, "{\"a\":1}\n^{\"b|\":2}\r^|\n^");
}

/* A line without an end costs no more than its limit. */
static void test_long_line(void **state)
{
	struct stream_watch watch;
	char *piece = malloc(100000);
	(void)state;

	memset(piece, 'a', 100000);
	stream_watch_begin(&watch, API_OPENAI);
	for (int i = 0; i < 100; i++)
		stream_watch_take(&watch, piece, 100000);
	assert_true(watch.line.capacity <= 256 * 1024);
	assert_int_equal(stream_watch_take(&watch, "\n", 1), 0);
	assert_true(stream_watch_end(&watch)); /* it may have said so there */
	stream_watch_take(&watch, "data: [DONE]\n", 13);
	assert_true(watch.finished);
	stream_watch_finish(&watch);
	free(piece);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_finished),
		cmocka_unit_test(test_whole_events),
		cmocka_unit_test(test_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
