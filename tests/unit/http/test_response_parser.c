/* Goal: an HTTP answer is read whole or refused, however its bytes are cut. Method: each answer is
 * fed in one piece, and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "http/response_parser.h"

struct body {
	char bytes[256];
	size_t length;
};

static void collect(void *ctx, const char *bytes, size_t length)
{
	struct body *body = ctx;
	assert_true(body->length + length < sizeof(body->bytes));
	memcpy(body->bytes + body->length, bytes, length);
	body->length += length;
}

/* 0 when it was taken whole, including the peer's close. */
static int read_answer(const char *answer, size_t step, struct http_response_parser *parser,
		       struct body *body)
{
	size_t length = strlen(answer);
	*body = (struct body){0};
	http_response_init(parser);
	for (size_t at = 0; at < length; at += step) {
		size_t part = length - at < step ? length - at : step;
		int r = http_response_feed(parser, answer + at, part, collect, body);
		if (r < 0)
			return r;
	}
	return http_response_close(parser);
}

static void good_answers(void **state)
{
	static const struct {
		const char *answer;
		int status;
		const char *body;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello", 200, "hello"},
		{"HTTP/1.0 404 \r\n\r\nuntil close", 404, "until close"},
		{"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
		{"HTTP/1.1 409\r\nContent-Length: 0\r\n\r\n", 409, ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: 1\r\n\r\n",
		 200, "hello, world"},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200,
		 "ok"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t step = 1; step < 400; step += 399 - (step > 1)) {
			struct http_response_parser parser;
			struct body body;
			assert_int_equal(read_answer(rows[i].answer, step, &parser, &body), 0);
			assert_int_equal(parser.status, rows[i].status);
			assert_int_equal(body.length, strlen(rows[i].body));
			assert_memory_equal(body.bytes, rows[i].body, body.length);
		}
}

static void bad_answers(void **state)
{
	static const char *const rows[] = {
		"",
		"SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"HTTP/2 200\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Len",
		"HTTP/1.1 409 Conflict\nContent-Length: 0\n\n",
		"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"0\r\nContent-Length: 3\r\n\r\n",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t step = 1; step < 400; step += 399 - (step > 1)) {
			struct http_response_parser parser;
			struct body body;
			if (read_answer(rows[i], step, &parser, &body) != -ERR_PROTOCOL)
				fail_msg("taken: %s", rows[i]);
		}
}

/* A header line has an end. */
static void long_header(void **state)
{
	struct http_response_parser parser;
	char bytes[9000];
	(void)state;
	http_response_init(&parser);
	memset(bytes, 'a', sizeof(bytes));
	assert_int_equal(http_response_feed(&parser, bytes, sizeof(bytes), NULL, NULL),
			 -ERR_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_answers),
		cmocka_unit_test(bad_answers),
		cmocka_unit_test(long_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
