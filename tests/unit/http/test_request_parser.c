/* The HTTP parser alone: every row of the table, in one piece and cut at every place, gives the
 * same verdict; limits hold at the byte; chunked bodies take flat memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "http/fault.h"
#include "http/request_parser.h"
#include "http_cases.h"

enum { ROOM = 512 * 1024 };

struct input {
	struct http_request_parser parser;
	struct http_fault fault;
	char *bytes;
	size_t length, most; /* of bytes ever held */
};

static void input_init(struct input *input)
{
	*input = (struct input){.bytes = malloc(ROOM)};
	assert_non_null(input->bytes);
}

static enum http_result give(struct input *input, const char *bytes, size_t length)
{
	assert_true(input->length + length < ROOM);
	memcpy(input->bytes + input->length, bytes, length);
	input->length += length;
	if (input->length > input->most)
		input->most = input->length;
	enum http_result result;
	do {
		result = http_request_parse(&input->parser, input->bytes, &input->length,
					    &input->fault);
	} while (result == HTTP_HEAD);
	return result;
}

/* Gives `step` bytes at a time until something is decided. */
static enum http_result give_in_steps(struct input *input, const char *bytes, size_t length,
				      size_t step)
{
	enum http_result result = HTTP_MORE;
	for (size_t at = 0; at < length && result == HTTP_MORE; at += step)
		result = give(input, bytes + at, length - at < step ? length - at : step);
	return result;
}

static void check_case(const struct http_case *row, size_t step)
{
	struct input input;
	input_init(&input);
	enum http_result result = give_in_steps(&input, row->bytes, row->length, step);
	int status = result == HTTP_MORE ? 0 : result == HTTP_COMPLETE ? 200 : input.fault.status;
	if (status != row->status)
		fail_msg("C%s %s in steps of %zu: %d instead of %d", row->row, row->what, step,
			 status, row->status);
	if (row->path && strcmp(input.bytes + input.parser.path, row->path) != 0)
		fail_msg("C%s %s: path %s", row->row, row->what, input.bytes + input.parser.path);
	if (row->body) {
		assert_int_equal(input.parser.body_length, strlen(row->body));
		assert_memory_equal(input.bytes + input.parser.body_start, row->body,
				    strlen(row->body));
	}
	free(input.bytes);
}

/* Each row of the table is judged as it says. */
static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < http_case_count; i++)
		check_case(&http_cases[i], http_cases[i].length);
}

/* Where the network cuts the bytes changes nothing. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < http_case_count; i++) {
		for (size_t step = 1; step < 48; step++)
			check_case(&http_cases[i], step);
	}
}

/* Bytes behind a request belong to the next one and are left alone. */
static void test_leftover(void **state)
{
	(void)state;
	static const char two[] =
		"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		"1\r\nx\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n";
	struct input input;
	input_init(&input);
	assert_int_equal(give(&input, two, sizeof(two) - 1), HTTP_COMPLETE);
	size_t left = input.length - input.parser.total;
	memmove(input.bytes, input.bytes + input.parser.total, left);
	input.parser = (struct http_request_parser){0};
	input.length = 0;
	assert_int_equal(give(&input, input.bytes, left), HTTP_COMPLETE);
	assert_string_equal(input.bytes + input.parser.path, "/b");
	assert_int_equal(input.length, input.parser.total);
	free(input.bytes);
}

static int judge_text(const char *text, size_t length)
{
	struct input input;
	input_init(&input);
	enum http_result result = give_in_steps(&input, text, length, 4096);
	free(input.bytes);
	return result == HTTP_MORE ? 0 : result == HTTP_COMPLETE ? 200 : input.fault.status;
}

static void add_repeated(struct buf *text, char byte, size_t count)
{
	char *tail;
	assert_int_equal(buf_reserve(text, count, &tail), 0);
	memset(tail, byte, count);
	buf_extend(text, count);
}

/* Judges and frees. */
static int judge_buf(struct buf *text)
{
	int status = judge_text(buf_data(text), text->length);
	buf_finish(text);
	return status;
}

static int judge_line(size_t target_length)
{
	struct buf text = {0};
	assert_int_equal(buf_append_text(&text, "GET /"), 0);
	add_repeated(&text, 'a', target_length - 1);
	assert_int_equal(buf_append_text(&text, " HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
	return judge_buf(&text);
}

/* The request line may have LIMIT_REQUEST_LINE_BYTES and not one more; without an end neither. */
static void test_request_line_limit(void **state)
{
	(void)state;
	size_t frame = strlen("GET ") + strlen(" HTTP/1.1");
	assert_int_equal(judge_line(LIMIT_REQUEST_LINE_BYTES - frame), 200);
	assert_int_equal(judge_line(LIMIT_REQUEST_LINE_BYTES - frame + 1), 414);
	struct buf endless = {0};
	add_repeated(&endless, 'A', ROOM / 2);
	assert_int_equal(judge_buf(&endless), 414);
}

static int judge_fields(int count, size_t value_length)
{
	struct buf text = {0};
	assert_int_equal(buf_append_text(&text, "GET / HTTP/1.1\r\nHost: h\r\n"), 0);
	for (int i = 0; i < count; i++) {
		assert_int_equal(buf_append_text(&text, "X: "), 0);
		add_repeated(&text, 'v', value_length);
		assert_int_equal(buf_append_text(&text, "\r\n"), 0);
	}
	assert_int_equal(buf_append_text(&text, "\r\n"), 0);
	return judge_buf(&text);
}

/* LIMIT_HEADER_COUNT headers and LIMIT_HEADER_BYTES are let in, more is 431. */
static void test_header_limits(void **state)
{
	(void)state;
	assert_int_equal(judge_fields(LIMIT_HEADER_COUNT - 1, 1), 200);
	assert_int_equal(judge_fields(LIMIT_HEADER_COUNT, 1), 431);
	assert_int_equal(judge_fields(10, 1600), 200);
	assert_int_equal(judge_fields(10, 1700), 431);
	assert_int_equal(judge_fields(1, 300000), 431);
}

/* A body of LIMIT_BODY_BYTES is let in, whole or chunked by single bytes, and the buffer never
 * holds more than body, head and one read; a byte more is 413. */
static void test_body_limit(void **state)
{
	(void)state;
	static const char head[] =
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
	static const char chunk[] = "1;ext=1234567890\r\nx\r\n";
	struct input input;
	input_init(&input);
	assert_int_equal(give(&input, head, sizeof(head) - 1), HTTP_MORE);
	for (int i = 0; i < LIMIT_BODY_BYTES; i++)
		assert_int_equal(give(&input, chunk, sizeof(chunk) - 1), HTTP_MORE);
	assert_true(input.most < sizeof(head) + LIMIT_BODY_BYTES + sizeof(chunk));
	assert_int_equal(give(&input, chunk, sizeof(chunk) - 1), HTTP_REFUSED);
	assert_int_equal(input.fault.status, 413);
	free(input.bytes);
}

/* C22: extensions are bounded whether their line ends or not. */
static void test_extension_limit(void **state)
{
	(void)state;
	static const char head[] =
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;";
	struct buf text = {0};
	assert_int_equal(buf_append_text(&text, head), 0);
	add_repeated(&text, 'e', ROOM / 4);
	assert_int_equal(judge_buf(&text), 400);
	assert_int_equal(buf_append_text(&text, head), 0);
	add_repeated(&text, 'e', 1000);
	assert_int_equal(buf_append_text(&text, "\r\nx\r\n0\r\n\r\n"), 0);
	assert_int_equal(judge_buf(&text), 400);
}

/* A WebSocket handshake is recognised, and only a right one. */
static void test_websocket(void **state)
{
	(void)state;
#define WS(method, version, key, more)                                                             \
	method " /s HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n"                    \
	       "Upgrade: websocket\r\nSec-WebSocket-Version: " version                             \
	       "\r\nSec-WebSocket-Key: " key "\r\n" more "\r\n"
	static const struct {
		const char *text;
		int status;
	} rows[] = {
		{WS("GET", "13", "dGhlIHNhbXBsZSBub25jZQ==", ""), 200},
		{WS("GET", "8", "dGhlIHNhbXBsZSBub25jZQ==", ""), 426},
		{WS("GET", "13", "dGhlIHNhbXBsZSBub25jZQ=", ""), 400},
		{WS("GET", "13", "dGhlIHNhbXBsZSBub25jZ!==", ""), 400},
		{WS("GET", "13", "dGhlIHNhbXBsZSBub25jZQ====", ""), 400},
		{WS("POST", "13", "dGhlIHNhbXBsZSBub25jZQ==", ""), 400},
		{WS("GET", "13", "dGhlIHNhbXBsZSBub25jZQ==", "Content-Length: 1\r\n"), 400},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct input input;
		input_init(&input);
		enum http_result result = give(&input, rows[i].text, strlen(rows[i].text));
		assert_int_equal(result == HTTP_COMPLETE ? 200 : input.fault.status,
				 rows[i].status);
		assert_int_equal(input.parser.websocket, rows[i].status == 200);
		free(input.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),           cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_leftover),        cmocka_unit_test(test_request_line_limit),
		cmocka_unit_test(test_header_limits),   cmocka_unit_test(test_body_limit),
		cmocka_unit_test(test_extension_limit), cmocka_unit_test(test_websocket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
