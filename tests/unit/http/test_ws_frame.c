/* WebSocket frames alone: what RFC 6455 forbids is refused with its code wherever the bytes are
 * cut, and memory stays flat. Also UTF-8, which both kinds of session check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "http/ws_frame.h"

#define B(text) text, sizeof(text) - 1
#define MASK    "\x01\x02\x03\x04"

/* Gives `step` bytes at a time; returns the first code it is refused with, 0 when it is not. A
 * close frame is judged too. Counts messages. */
static int judge(struct ws_parser *parser, const char *bytes, size_t length, size_t step,
		 int *ret_messages)
{
	for (size_t at = 0; at < length;) {
		struct ws_fault fault;
		size_t used = 0, give = length - at < step ? length - at : step;
		int code;
		enum ws_result result = ws_parse(parser, bytes + at, give, &used, &fault);
		at += used;
		if (result == WS_REFUSED)
			return fault.code;
		if (result == WS_MORE)
			assert_int_equal(used, give);
		if (result == WS_MESSAGE)
			++*ret_messages;
		if (result == WS_CONTROL && parser->opcode == WS_CLOSE &&
		    !ws_close_code(parser, &code, &fault))
			return fault.code;
	}
	return 0;
}

static const struct {
	const char *row, *what, *bytes;
	size_t length;
	int code, messages;
} cases[] = {
	{"-", "text", B("\x81\x82" MASK "\x60\x60"), 0, 1},
	{"-", "empty text", B("\x81\x80" MASK), 0, 1},
	{"-", "two texts", B("\x81\x81" MASK "\x60\x81\x81" MASK "\x60"), 0, 2},
	{"-", "fragments with a ping between",
	 B("\x01\x81" MASK "\x60\x89\x80" MASK "\x00\x80" MASK "\x80\x81" MASK "\x60"), 0, 1},
	{"-", "a character cut by fragments", B("\x01\x81" MASK "\xc2\x80\x81" MASK "\xa8"), 0, 1},
	{"-", "close without code", B("\x88\x80" MASK), 0, 0},
	{"-", "close 1000", B("\x88\x82" MASK "\x02\xea"), 0, 0},
	{"-", "close 4401", B("\x88\x82" MASK "\x10\x33"), 0, 0},
	{"-", "binary", B("\x82\x81" MASK "\x60"), 1003, 0},
	{"-", "length 125 in two bytes", B("\x81\xfe\x00\x7d" MASK), 1002, 0},
	{"-", "length 65535 in eight bytes", B("\x81\xff\0\0\0\0\0\0\xff\xff" MASK), 1002, 0},
	{"33", "unmasked", B("\x81\x01z"), 1002, 0},
	{"33", "RSV1", B("\xc1\x81" MASK "\x60"), 1002, 0},
	{"33", "RSV2", B("\xa1\x81" MASK "\x60"), 1002, 0},
	{"33", "RSV3", B("\x91\x81" MASK "\x60"), 1002, 0},
	{"33", "opcode 3", B("\x83\x81" MASK "\x60"), 1002, 0},
	{"33", "opcode 7", B("\x87\x81" MASK "\x60"), 1002, 0},
	{"33", "opcode 11", B("\x8b\x80" MASK), 1002, 0},
	{"33", "opcode 15", B("\x8f\x80" MASK), 1002, 0},
	{"33", "fragmented ping", B("\x09\x80" MASK), 1002, 0},
	{"33", "fragmented close", B("\x08\x80" MASK), 1002, 0},
	{"33", "ping of 126", B("\x89\xfe\x00\x7e" MASK), 1002, 0},
	{"33", "continuation of nothing", B("\x80\x81" MASK "\x60"), 1002, 0},
	{"33", "text inside a message", B("\x01\x81" MASK "\x60\x81\x81" MASK "\x60"), 1002, 0},
	{"34", "length 2^63", B("\x81\xff\x80\0\0\0\0\0\0\0" MASK), 1009, 0},
	{"34", "length 2^63-1", B("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" MASK), 1009, 0},
	{"34", "length 64 KiB and one", B("\x81\xff\0\0\0\0\0\x01\0\x01" MASK), 1009, 0},
	{"35", "broken UTF-8", B("\x81\x81" MASK "\xff"), 1007, 0},
	{"35", "unfinished UTF-8", B("\x81\x81" MASK "\xc2"), 1007, 0},
	{"35", "surrogate", B("\x81\x83" MASK "\xec\xa2\x83"), 1007, 0},
	{"35", "NUL", B("\x81\x81" MASK "\x01"), 1007, 0},
	{"35", "close of one byte", B("\x88\x81" MASK "\x02"), 1002, 0},
	{"35", "close 999", B("\x88\x82" MASK "\x02\xe5"), 1002, 0},
	{"35", "close 1004", B("\x88\x82" MASK "\x02\xee"), 1002, 0},
	{"35", "close 1005", B("\x88\x82" MASK "\x02\xef"), 1002, 0},
	{"35", "close 1006", B("\x88\x82" MASK "\x02\xec"), 1002, 0},
	{"35", "close 1015", B("\x88\x82" MASK "\x02\xf5"), 1002, 0},
	{"35", "close 2999", B("\x88\x82" MASK "\x0a\xb5"), 1002, 0},
	{"35", "close 5000", B("\x88\x82" MASK "\x12\x8a"), 1002, 0},
	{"35", "close reason not UTF-8", B("\x88\x83" MASK "\x02\xea\xfc"), 1007, 0},
};

/* Each row in one piece and cut at every step. */
static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (size_t step = 1; step <= cases[i].length; step++) {
			struct ws_parser parser = {0};
			int messages = 0;
			int code = judge(&parser, cases[i].bytes, cases[i].length, step, &messages);
			if (code != cases[i].code || messages != cases[i].messages)
				fail_msg("C%s %s in steps of %zu: code %d, %d messages",
					 cases[i].row, cases[i].what, step, code, messages);
			ws_parser_finish(&parser);
		}
	}
}

/* A message of LIMIT_FRAME_BYTES is taken; its bytes come out unmasked. */
static void test_longest_message(void **state)
{
	(void)state;
	struct ws_parser parser = {0};
	struct ws_fault fault;
	size_t used;
	char head[] = "\x81\xff\0\0\0\0\0\x01\0\0" MASK;
	assert_int_equal(ws_parse(&parser, head, 14, &used, &fault), WS_MORE);
	for (int i = 0; i < LIMIT_FRAME_BYTES; i++) {
		char byte = (char)(('a' + i % 26) ^ (1 + i % 4));
		assert_int_equal(ws_parse(&parser, &byte, 1, &used, &fault),
				 i == LIMIT_FRAME_BYTES - 1 ? WS_MESSAGE : WS_MORE);
	}
	assert_int_equal(parser.message.length, LIMIT_FRAME_BYTES);
	for (int i = 0; i < LIMIT_FRAME_BYTES; i++)
		assert_int_equal(buf_data(&parser.message)[i], 'a' + i % 26);
	ws_parser_finish(&parser);
}

/* C34: fragments of one byte, or of none, end in 1009 and never hold more than one message. */
static void test_endless_fragments(void **state)
{
	(void)state;
	for (int empty = 0; empty < 2; empty++) {
		struct ws_parser parser = {0};
		int code = 0, messages = 0;
		long frames = 0;
		char frame[] = "\x01\x81" MASK "\x60";
		frame[1] = empty ? '\x80' : '\x81';
		for (; !code && frames < 10 * LIMIT_FRAME_BYTES; frames++) {
			code = judge(&parser, frame, empty ? 6 : 7, 7, &messages);
			frame[0] = 0;
		}
		assert_int_equal(code, 1009);
		assert_int_equal(frames, LIMIT_FRAME_BYTES + 1);
		assert_true(parser.message.capacity <= 2 * LIMIT_FRAME_BYTES);
		ws_parser_finish(&parser);
	}
}

/* The heads of our own frames use the shortest length. */
static void test_frame_head(void **state)
{
	(void)state;
	char head[WS_HEAD_BYTES_MAX];
	assert_int_equal(ws_frame_head(head, WS_TEXT, 125), 2);
	assert_memory_equal(head, "\x81\x7d", 2);
	assert_int_equal(ws_frame_head(head, WS_TEXT, 126), 4);
	assert_memory_equal(head, "\x81\x7e\x00\x7e", 4);
	assert_int_equal(ws_frame_head(head, WS_TEXT, 65536), 10);
	assert_memory_equal(head, "\x81\x7f\0\0\0\0\0\x01\0\0", 10);
}

/* The edges of well-formed UTF-8 (Unicode, table 3-7). */
static void test_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {
		{"", true},
		{"a", true},
		{"\xc2\x80", true},
		{"\xdf\xbf", true},
		{"\xe0\xa0\x80", true},
		{"\xed\x9f\xbf", true},
		{"\xef\xbf\xbf", true},
		{"\xf0\x90\x80\x80", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"\x80", false},
		{"\xc1\xbf", false},
		{"\xc2", false},
		{"\xc2z", false},
		{"\xe0\x9f\xbf", false},
		{"\xed\xa0\x80", false},
		{"\xe1\x80", false},
		{"\xf0\x8f\xbf\xbf", false},
		{"\xf4\x90\x80\x80", false},
		{"\xf5\x80\x80\x80", false},
		{"\xff", false},
		{"\xe1\x80\xc0", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(utf8_is_valid(rows[i].text, strlen(rows[i].text)), rows[i].valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_longest_message),
		cmocka_unit_test(test_endless_fragments),
		cmocka_unit_test(test_frame_head),
		cmocka_unit_test(test_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
