/* Goal: however a stream is cut into pieces, the same is known of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
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
	}
}

/* What no event of Baton's own could go on from is not seen at all. */
static void test_positions(void **state)
{
	static const struct {
		const char *number, *id;
		int64_t sequence;
		const char *kept;
	} rows[] = {
		{"9007199254740990", "ä", 9007199254740990, "ä"},
		{"9007199254740991", "a\xff", -1, ""},
		{"9223372036854775807", "\xc3", -1, ""},
		{"99999999999999999999", "a\\u00e4", -1, ""},
		{"-5", "", -1, ""},
		{"12.5", "a", -1, "a"},
		{"1e9", "a", -1, "a"},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stream_watch watch;
		char line[160];

		snprintf(line, sizeof(line),
			 "data: {\"sequence_number\":%s,\"response\":{\"id\":\"%s\"}}\n\n",
			 rows[i].number, rows[i].id);
		stream_watch_begin(&watch, API_RESPONSES);
		stream_watch_take(&watch, line, strlen(line));
		assert_int_equal(watch.position.sequence, rows[i].sequence);
		assert_string_equal(watch.position.response_id, rows[i].kept);
	}
}

/* Said of the response itself, in whatever event. */
static void test_background(void **state)
{
	static const struct {
		const char *line;
		bool is;
	} rows[] = {
		{"data: {\"response\":{\"background\":true}}\n\ndata: {\"response\":{}}\n\n", true},
		{"data: {\"response\":{\"background\":false}}\n\n", false},
		{"data: {\"background\":true}\n\n", false},
		{"data: {\"response\":{\"metadata\":{\"background\":true}}}\n\n", false},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stream_watch watch;

		stream_watch_begin(&watch, API_RESPONSES);
		stream_watch_take(&watch, rows[i].line, strlen(rows[i].line));
		assert_int_equal(watch.background, rows[i].is);
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
	check_says(API_OPENAI, "data:[DONE]", true, false);
	check_says(API_OPENAI, "data: {\"type\":\"image_generation.completed\"}", true, false);
	check_says(API_OPENAI, "data: {\"error\": {\"message\":\"x\"}}", false, true);
	check_says(API_OPENAI, "data: {\"error\":null}", false, false);
	check_says(API_OPENAI, "data: {\"error\":\"out of memory\"}", false, true);
	check_says(API_OPENAI, "data: {\"choices\":[],\"error\":\"out of memory\"}", false, true);
	check_says(API_OPENAI, "data: {\"choices\":[{}],\"error\":{\"message\":\"x\"}}", false,
		   true);
	check_says(API_OPENAI, "data: {\"error\":\"none\",\"choices\":[{\"delta\":{}}]}", false,
		   false);
	check_says(API_OPENAI,
		   "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"error\":\"none\"}", true,
		   false);
	check_says(API_ANTHROPIC, "data: {\"type\":\"message_stop\"}", true, false);
	check_says(API_ANTHROPIC, "data: {\"delta\":{\"stop_reason\":\"end_turn\"}}", true, false);
	check_says(API_ANTHROPIC, "data: {\"delta\":{\"stop_reason\":null}}", false, false);
	check_says(API_ANTHROPIC, "data: {\"type\":\"error\",\"error\":{}}", false, true);
	check_says(API_RESPONSES, "data: {\"type\":\"response.output_text.done\"}", false, false);
	check_says(API_RESPONSES, "data: {\"type\":\"response.completed\"}", true, false);
	check_says(API_RESPONSES, "data: {\"type\":\"response.failed\"}", false, true);
	check_says(API_OLLAMA, "{\"model\":\"m\",\"done\":true}", true, false);
	check_says(API_OLLAMA, "{\"model\":\"m\",\"done\": true}", true, false);
	check_says(API_OLLAMA, "{\"model\":\"m\",\"done\":false}", false, false);
	check_says(API_OLLAMA, "{\"error\":\"out of memory\"}", false, true);
}

/* The same words where they mean something else. */
static void test_elsewhere(void **state)
{
	(void)state;

	check_says(API_OPENAI, "data: {\"content\":\"\\\"finish_reason\\\":\\\"stop\\\" [DONE]\"}",
		   false, false);
	check_says(API_OPENAI, ": {\"choices\":[{\"finish_reason\":\"stop\"}]}", false, false);
	check_says(API_OPENAI, ": data: [DONE]", false, false);
	check_says(API_OPENAI, "event: {\"error\":{}}", false, false);
	check_says(API_OPENAI, "datas: [DONE]", false, false);
	check_says(API_OPENAI, "data: {\"x\":[[DONE]]}", false, false);
	check_says(API_OPENAI, "data: {\"finish_reason\":\"stop\"}", false, false);
	check_says(API_OPENAI, "data: {\"choices[].finish_reason\":\"stop\"}", false, false);
	check_says(API_OPENAI,
		   "data: {\"choices\":[{\"delta\":{\"finish_reason\":\"stop\",\"error\":{}}}]}",
		   false, false);
	check_says(API_OPENAI, "data: {\"choices\":[{\"error\":{\"type\":\"error\"}}]}", false,
		   false);
	check_says(API_OPENAI, "data: {\"choices\":[{\"finish_reason\":\"stop\"", false, false);
	check_says(API_ANTHROPIC, "data: {\"message\":{\"stop_reason\":\"x\"}}", false, false);
	check_says(API_ANTHROPIC,
		   "data: {\"content_block\":{\"input\":{\"type\":\"message_stop\"}}}", false,
		   false);
	check_says(API_RESPONSES, "data: {\"item\":{\"type\":\"error\",\"error\":{}}}", false,
		   false);
	check_says(API_RESPONSES, "data: {\"response\":{\"type\":\"response.completed\"}}", false,
		   false);
	check_says(API_OLLAMA,
		   "{\"message\":{\"tool_calls\":[{\"function\":{\"arguments\":{\"done\":true}}}]},"
		   "\"done\":false}",
		   false, false);
}

/* Of several events: a field may be cut anywhere. */
static void check_stream(enum api_wire wire, const char *text, bool whole)
{
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		struct stream_watch watch;

		stream_watch_begin(&watch, wire);
		for (size_t at = 0; at < strlen(text); at += piece) {
			size_t left = strlen(text) - at;
			stream_watch_take(&watch, text + at, left < piece ? left : piece);
		}
		assert_int_equal(stream_watch_end(&watch), whole);
	}
}

#define BEGUN(index) "data: {\"choices\":[{\"index\":" #index ",\"finish_reason\":null}]}\n\n"
#define ENDED(index) "data: {\"choices\":[{\"index\":" #index ",\"finish_reason\":\"stop\"}]}\n\n"

/* Every choice has an end of its own. */
static void test_choices(void **state)
{
	(void)state;

	check_stream(API_OPENAI, BEGUN(0) BEGUN(1) ENDED(0), false);
	check_stream(API_OPENAI, BEGUN(1) ENDED(0) BEGUN(1), false);
	check_stream(API_OPENAI, BEGUN(1) ENDED(0) ENDED(1), true);
	check_stream(API_OPENAI, BEGUN(1) ENDED(0) "data: [DONE]\n\n", true);
	check_stream(API_OPENAI, BEGUN(127) ENDED(0), false);
	check_stream(API_OPENAI,
		     "data: {\"choices\":[{\"finish_reason\":\"stop\",\"index\":1},"
		     "{\"index\":0,\"finish_reason\":null}]}\n\n",
		     false);
}

/* One that has not begun yet is awaited where so many were asked for. */
static void test_choices_due(void **state)
{
	struct stream_watch watch;
	(void)state;

	stream_watch_begin(&watch, API_OPENAI);
	watch.choices_due = 2;
	stream_watch_take(&watch, ENDED(0), strlen(ENDED(0)));
	assert_false(stream_watch_end(&watch));
	stream_watch_take(&watch, ENDED(1), strlen(ENDED(1)));
	assert_true(stream_watch_end(&watch));
}

/* One event of several lines, and one that breaks off before the next. */
static void test_lines_of_an_event(void **state)
{
	(void)state;

	check_stream(API_OPENAI,
		     "data: {\"choices\":[\ndata: {\"finish_reason\":\nid: 7\ndata:\"stop\"}]}\n\n",
		     true);
	check_stream(API_OPENAI, "data: {\"a\":\"\n\ndata: [DONE]\n\n", true);
	check_stream(API_OPENAI, "data: {\"choices\":[{\"finish_reason\":\"stop\"\n\n", false);
	check_stream(API_OLLAMA, "{\"a\":{\n{\"done\":true}\n", true);
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

/* However long a line is, what stands in it is read. */
static void test_long_line(void **state)
{
	static const char head[] = "data: {\"x\":\"",
			  tail[] = "\",\"choices\":[{\"finish_reason\":";
	char *piece = malloc(100000);
	struct stream_watch watch;
	(void)state;

	memset(piece, 'a', 100000);
	for (int finished = 0; finished < 2; finished++) {
		const char *end = finished ? "\"stop\"}]}\n" : "null}]}\n";

		stream_watch_begin(&watch, API_OPENAI);
		stream_watch_take(&watch, head, strlen(head));
		for (int i = 0; i < 100; i++)
			stream_watch_take(&watch, piece, 100000);
		stream_watch_take(&watch, tail, strlen(tail));
		assert_int_equal(stream_watch_take(&watch, end, strlen(end)), 0);
		assert_int_equal(stream_watch_end(&watch), finished);
	}
	free(piece);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),       cmocka_unit_test(test_positions),
		cmocka_unit_test(test_background),   cmocka_unit_test(test_finished),
		cmocka_unit_test(test_elsewhere),    cmocka_unit_test(test_choices),
		cmocka_unit_test(test_choices_due),  cmocka_unit_test(test_lines_of_an_event),
		cmocka_unit_test(test_whole_events), cmocka_unit_test(test_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
