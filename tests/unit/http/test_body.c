/* A body in pieces: whatever its frame and wherever the network cuts it, the same bytes come out,
 * or the same refusal; only a part of a line is ever given back; a bound holds at the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/body.h"
#include "http/fault.h"

enum { ROOM = 256 * 1024 };

struct taken {
	char bytes[ROOM];
	size_t length, used, kept_most;
	int status; /* 200: over; 0: more is waited for; else refused */
};

/* As a connection does: what was not used stands before the next bytes. */
static struct taken *take(struct http_body body, const char *bytes, size_t length, size_t step)
{
	struct taken *taken = calloc(1, sizeof(*taken));
	char *held = malloc(length + 1);
	size_t held_length = 0;
	enum http_body_result result = HTTP_BODY_MORE;
	struct http_fault fault = {0};
	assert_non_null(taken);
	assert_non_null(held);
	for (size_t at = 0; result == HTTP_BODY_MORE && at < length; at += step) {
		size_t part = length - at < step ? length - at : step, start = 0, used;
		struct http_piece piece;
		memcpy(held + held_length, bytes + at, part);
		held_length += part;
		while ((result = http_body_read(&body, held + start, held_length - start, &used,
						&piece, &fault)) == HTTP_BODY_PIECE) {
			assert_true(piece.length > 0 && taken->length + piece.length <= ROOM);
			memcpy(taken->bytes + taken->length, piece.bytes, piece.length);
			taken->length += piece.length;
			start += used;
		}
		start += used;
		taken->used += start;
		memmove(held, held + start, held_length - start);
		held_length -= start;
		if (held_length > taken->kept_most)
			taken->kept_most = held_length;
	}
	taken->status = result == HTTP_BODY_END ? 200 : result == HTTP_BODY_MORE ? 0 : fault.status;
	free(held);
	return taken;
}

static void test_rows(void **state)
{
	static const struct {
		bool chunked;
		uint64_t length;
		const char *bytes;
		int status;
		const char *body;
		size_t used;
	} rows[] = {
		{false, 5, "hello, next", 200, "hello", 5},
		{false, 5, "hell", 0, "hell", 4},
		{false, 0, "next", 200, "", 0},
		{false, 11, "hello, next", 413, "", 0},
		{true, 0, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nnext", 200, "abcde", 20},
		{true, 0, "3;a=\"b\"\r\nabc\r\n0\r\nX: y\r\n\r\n", 200, "abc", 25},
		{true, 0, "A\r\n0123456789\r\n0\r\n\r\n", 200, "0123456789", 20},
		{true, 0, "5\r\nhello\r\n6\r\n", 413, "hello", 0},
		{true, 0, "B\r\n", 413, "", 0},
		{true, 0, "FFFFFFFF\r\n", 413, "", 0},
		{true, 0, "FFFFFFFFF\r\n", 400, "", 0},
		{true, 0, "5\nhello", 400, "", 0},
		{true, 0, "+5\r\nhello\r\n", 400, "", 0},
		{true, 0, "5 \r\nhello\r\n", 400, "", 0},
		{true, 0, "\r\n", 400, "", 0},
		{true, 0, "5\r\nhello!\r\n", 400, "hello", 0},
		{true, 0, "5\r\nhello\r!", 400, "hello", 0},
		{true, 0, "0\r\nContent-Length: 1\r\n\r\n", 400, "", 0},
		{true, 0, "0\r\n folded\r\n\r\n", 400, "", 0},
		{true, 0, "0\r\nX: y\r\n", 0, "", 9},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t length = strlen(rows[i].bytes);
		for (size_t step = 1; step <= length; step++) {
			struct http_body body;
			if (rows[i].chunked)
				http_body_by_chunks(&body, 10);
			else
				http_body_by_length(&body, rows[i].length, 10);
			struct taken *taken = take(body, rows[i].bytes, length, step);
			if (taken->status != rows[i].status)
				fail_msg("%s in steps of %zu: %d", rows[i].bytes, step,
					 taken->status);
			assert_int_equal(taken->length, strlen(rows[i].body));
			assert_memory_equal(taken->bytes, rows[i].body, taken->length);
			if (rows[i].used)
				assert_int_equal(taken->used, rows[i].used);
			free(taken);
		}
	}
}

/* A long body keeps nothing with the caller but a part of a line. */
static void test_flat_memory(void **state)
{
	(void)state;
	enum { CHUNKS = 3000 };
	static const char chunk[] = "1;ext=1234567890\r\nx\r\n", end[] = "0\r\n\r\n";
	size_t size = sizeof(chunk) - 1, length = CHUNKS * size + sizeof(end) - 1;
	char *bytes = malloc(length);
	struct http_body body;
	assert_non_null(bytes);
	for (size_t i = 0; i < CHUNKS; i++)
		memcpy(bytes + i * size, chunk, size);
	memcpy(bytes + CHUNKS * size, end, sizeof(end) - 1);
	http_body_by_chunks(&body, UINT64_MAX);
	struct taken *taken = take(body, bytes, length, 7);
	assert_int_equal(taken->status, 200);
	assert_int_equal(taken->length, CHUNKS);
	assert_true(taken->kept_most < size);
	free(taken);
	free(bytes);
}

/* A line that does not end has an end. */
static void test_endless_lines(void **state)
{
	static const char *const starts[] = {"1;", "0\r\nX: "};
	static const int statuses[] = {400, 431};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char bytes[8192];
		struct http_body body;
		memset(bytes, 'a', sizeof(bytes));
		memcpy(bytes, starts[i], strlen(starts[i]));
		http_body_by_chunks(&body, 10);
		struct taken *taken = take(body, bytes, sizeof(bytes), 100);
		assert_int_equal(taken->status, statuses[i]);
		assert_true(taken->kept_most < 5000);
		free(taken);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_flat_memory),
		cmocka_unit_test(test_endless_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
