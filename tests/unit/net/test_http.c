/* HTTP over real sockets: each row of the table gets its answer and the connection its end; one
 * request at a time, in order; parked requests, streams and half-closed peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../http/http_cases.h"
#include "base/err.h"
#include "base/limits.h"
#include "bed.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void check_row(struct bed *bed, const struct http_case *row)
{
	unsigned requests = bed->requests, errors = bed->errors;
	struct client *client = client_open(bed);
	client_send(client, row->bytes, row->length);
	if (row->status == 200) {
		bed_wait(bed, &bed->requests, requests + 1);
		client_wait_text(bed, client, "\r\n\r\n");
		assert_int_equal(client_status(client), 200);
		if (row->path)
			assert_string_equal(bed->path, row->path);
		if (row->body)
			assert_string_equal(bed->body, row->body);
	} else if (row->status) {
		client_wait_end(bed, client);
		if (client_status(client) != row->status)
			fail_msg("C%s %s: %d instead of %d", row->row, row->what,
				 client_status(client), row->status);
		assert_non_null(strstr(client->in, "Connection: close\r\n"));
		assert_int_equal(bed->requests, requests); /* the handler saw nothing */
		assert_int_equal(bed->errors, errors + 1);
	}
	client_close(client);
}

/* Each row: refused ones get their status and the connection is closed, the handler is not asked.
 */
static void test_table(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	for (size_t i = 0; i < http_case_count; i++)
		check_row(bed, &http_cases[i]);
	bed_close(bed);
}

/* Keep-alive: many requests on one connection, each delivered, none kept in memory. */
static void test_keep_alive(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	for (unsigned i = 1; i <= 50; i++) {
		client->length = 0;
		client_send_text(client, GET("/again"));
		client_wait_text(bed, client, "/again");
		assert_int_equal(client_status(client), 200);
		bed_wait(bed, &bed->delivered, i);
	}
	assert_int_equal(bed->requests, 50);
	assert_int_equal(bed->gone, 0);
	assert_int_equal(net_connection_count(bed->net), 1);
	client_close(client);
	bed_close(bed);
}

/* A request sent ahead is not begun before the one in front is answered, and answers are in order.
 */
static void test_pipelined_in_order(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	bed->mode = BED_PARK;
	client_send_text(client, GET("/1") GET("/2") GET("/3"));
	bed_wait(bed, &bed->requests, 1);
	uint64_t first = bed->conn;
	for (int i = 0; i < 5; i++)
		client_pump(bed, client);
	assert_int_equal(bed->requests, 1);
	http_reply(bed->net, first, 200, NULL, 0, "one", 3);
	bed_wait(bed, &bed->requests, 2);
	assert_int_not_equal(bed->conn, first);
	http_reply(bed->net, first, 200, NULL, 0, "late", 4); /* a used number does nothing */
	http_reply(bed->net, bed->conn, 200, NULL, 0, "two", 3);
	bed_wait(bed, &bed->requests, 3);
	http_reply(bed->net, bed->conn, 200, NULL, 0, "three", 5);
	client_wait_text(bed, client, "three");
	char *one = strstr(client->in, "one"), *two = strstr(client->in, "two");
	assert_true(one && two && one < two && two < strstr(client->in, "three"));
	assert_null(strstr(client->in, "late"));
	assert_string_equal(bed->order, "/1/2/3");
	client_close(client);
	bed_close(bed);
}

/* A thousand requests in one write are all answered, though reading pauses on the way. */
static void test_pipelined_flood(void **state)
{
	(void)state;
	enum { COUNT = 1500 };
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	bed->mode = BED_PARK;
	static const char request[] = "POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"
				      "0123456789012345678901234567890123456789012345678901234567"
				      "890123456789012345678901234567890123456789";
	for (int i = 0; i < COUNT; i++) {
		client_send_text(client, request);
		if (i % 100 == 0)
			client_pump(bed, client);
	}
	for (unsigned i = 1; i <= COUNT; i++) {
		bed_wait(bed, &bed->requests, i);
		http_reply(bed->net, bed->conn, 200, NULL, 0, "y", 1);
	}
	bed_wait(bed, &bed->delivered, COUNT);
	assert_int_equal(bed->gone, 0);
	client_close(client);
	bed_close(bed);
}

/* Two different requests may not be seen as one: garbage behind a body is a malformed request. */
static void test_body_larger_than_declared(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	client_send_text(client, "POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
				 "abcdef\r\n\r\n");
	client_wait_end(bed, client);
	assert_int_equal(bed->requests, 1);
	assert_string_equal(bed->body, "abc");
	assert_non_null(strstr(client->in, "HTTP/1.1 400 "));
	client_close(client);
	bed_close(bed);
}

/* C14, C32: a parked client that leaves, by FIN or by RST, is noticed in the turn that sees it. */
static void test_parked_client_leaves(void **state)
{
	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		struct bed *bed = bed_open(NULL);
		struct client *client = client_open(bed);
		bed->mode = BED_PARK;
		client_send_text(client, GET("/lock"));
		bed_wait(bed, &bed->requests, 1);
		client_leave(client, reset);
		loop_turn(bed->loop); /* one turn */
		assert_int_equal(bed->gone, 1);
		assert_int_equal(bed->conn_gone, bed->conn);
		assert_int_equal(net_connection_count(bed->net), 0);
		http_reply(bed->net, bed->conn, 200, NULL, 0, "x", 1); /* no error, no effect */
		bed_close(bed);
	}
}

/* The same while requests sent ahead lie unread in the kernel. */
static void test_parked_client_leaves_with_input(void **state)
{
	char *ahead = malloc(60000);
	(void)state;
	memset(ahead, 'x', 60000);
	for (int reset = 0; reset < 2; reset++) {
		struct bed *bed = bed_open(NULL);
		struct client *client = client_open(bed);
		bed->mode = BED_PARK;
		client_send_text(client, GET("/lock"));
		bed_wait(bed, &bed->requests, 1);
		for (int i = 0; i < 4; i++) {
			client_send(client, ahead, 60000);
			client_pump(bed, client);
		}
		assert_int_equal(bed->gone, 0);
		client_leave(client, reset);
		bed_wait(bed, &bed->gone, 1);
		assert_int_equal(net_connection_count(bed->net), 0);
		bed_close(bed);
	}
	free(ahead);
}

/* And while a long answer waits for a client that does not read. */
static void test_client_leaves_with_output(void **state)
{
	enum { SIZE = 5 * 1024 * 1024 };
	char *body = calloc(1, SIZE);
	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		struct bed *bed = bed_open(NULL);
		struct client *client = client_open(bed);
		bed->mode = BED_STREAM;
		client->mute = true;
		client_send_text(client, GET("/stream"));
		bed_wait(bed, &bed->requests, 1);
		http_stream_write(bed->net, bed->conn, body, SIZE);
		for (int i = 0; i < 4; i++) {
			client_send(client, body, 60000); /* sent ahead, until reading pauses */
			client_pump(bed, client);
		}
		client_leave(client, reset);
		bed_wait(bed, &bed->gone, 1);
		bed_close(bed);
	}
	free(body);
}

/* A client that ends its side right behind its request still gets the answer. */
static void test_half_closed(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	client_send_text(client, GET("/half"));
	assert_int_equal(shutdown(client->fd, SHUT_WR), 0);
	client_wait_end(bed, client);
	assert_int_equal(client_status(client), 200);
	client_close(client);
	bed_close(bed);
}

/* HEAD has the length and no body; 204 and 304 have neither; header values cannot end their line.
 */
static void test_reply_forms(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	bed->mode = BED_PARK;
	client_send_text(client, "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n");
	bed_wait(bed, &bed->requests, 1);
	const struct http_header headers[] = {{"X-A", "b\r\nX-Evil: c"}, {"X-D", "e"}};
	http_reply(bed->net, bed->conn, 200, headers, 2, "12345", 5);
	client_wait_text(bed, client, "\r\n\r\n");
	assert_non_null(strstr(client->in, "\r\nContent-Length: 5\r\n\r\n"));
	assert_non_null(strstr(client->in, "\r\nDate: "));
	assert_non_null(strstr(client->in, "\r\nX-A: b  X-Evil: c\r\nX-D: e\r\n"));
	assert_null(strstr(client->in, "12345"));
	client->length = 0;
	client_send_text(client, GET("/n"));
	bed_wait(bed, &bed->requests, 2);
	http_reply(bed->net, bed->conn, 204, NULL, 0, NULL, 0);
	client_wait_text(bed, client, "\r\n\r\n");
	assert_null(strstr(client->in, "Content-Length"));
	client_close(client);
	bed_close(bed);
}

/* Connection: close and HTTP/1.0 end the connection behind the answer, and it is delivered. */
static void test_close_wanted(void **state)
{
	(void)state;
	static const char *const requests[] = {
		"GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"GET /c HTTP/1.0\r\nHost: h\r\n\r\n",
	};
	struct bed *bed = bed_open(NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct client *client = client_open(bed);
		client_send_text(client, requests[i]);
		client_wait_end(bed, client);
		assert_int_equal(client_status(client), 200);
		assert_non_null(strstr(client->in, "Connection: close\r\n"));
		client_close(client);
		bed_wait(bed, &bed->delivered, i + 1);
	}
	bed_close(bed);
}

/* curl waits for 100 Continue before it sends a long body. */
static void test_expect_continue(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	client_send_text(client, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
				 "Expect: 100-continue\r\n\r\n");
	client_wait_text(bed, client, "HTTP/1.1 100 Continue\r\n\r\n");
	client_send_text(client, "abc");
	client_wait_text(bed, client, "HTTP/1.1 200 OK");
	assert_string_equal(bed->body, "abc");
	client_close(client);
	bed_close(bed);
}

/* A stream is chunked on HTTP/1.1 and ends with the connection on HTTP/1.0. */
static void test_stream(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	bed->mode = BED_STREAM;
	struct client *client = client_open(bed);
	client_send_text(client, GET("/events"));
	bed_wait(bed, &bed->requests, 1);
	http_stream_write(bed->net, bed->conn, "hello", 5);
	client_wait_text(bed, client, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	http_stream_end(bed->net, bed->conn);
	client_wait_text(bed, client, "0\r\n\r\n");
	bed_wait(bed, &bed->delivered, 1);
	client->length = 0;
	client_send_text(client, "GET /e HTTP/1.0\r\nHost: h\r\n\r\n");
	bed_wait(bed, &bed->requests, 2);
	http_stream_write(bed->net, bed->conn, "raw", 3);
	http_stream_end(bed->net, bed->conn);
	client_wait_end(bed, client);
	assert_non_null(strstr(client->in, "\r\n\r\nraw"));
	client_close(client);
	bed_close(bed);
}

/* The writer sees what is not taken; a peer that never reads is dropped at the cap; one that leaves
 * is told as gone. */
static void test_stream_pressure(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	char *block = calloc(1, 256 * 1024);
	bed->mode = BED_STREAM;
	client->mute = true;
	client_send_text(client, GET("/events"));
	bed_wait(bed, &bed->requests, 1);
	assert_int_equal(http_stream_pending(bed->net, bed->conn), 0);
	for (int i = 0; i < 200 && bed->gone == 0; i++) {
		size_t pending = http_stream_pending(bed->net, bed->conn);
		assert_true(pending <= LIMIT_SEND_BUFFER_BYTES + 512 * 1024);
		http_stream_write(bed->net, bed->conn, block, 256 * 1024);
		bed_turn(bed);
	}
	assert_int_equal(bed->gone, 1);
	assert_int_equal(bed->error, ERR_SLOW);
	client_close(client);
	client = client_open(bed);
	client_send_text(client, GET("/events"));
	bed_wait(bed, &bed->requests, 2);
	client_close(client);
	bed_wait(bed, &bed->gone, 2);
	free(block);
	bed_close(bed);
}

/* An answer far over the socket's buffer arrives whole and is delivered only then. */
static void test_long_answer(void **state)
{
	(void)state;
	enum { SIZE = 5 * 1024 * 1024 };
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	char *body = malloc(SIZE);
	for (int i = 0; i < SIZE; i++)
		body[i] = (char)('a' + i % 23);
	bed->mode = BED_PARK;
	client_send_text(client, GET("/long"));
	bed_wait(bed, &bed->requests, 1);
	http_reply(bed->net, bed->conn, 200, NULL, 0, body, SIZE);
	bed_turn(bed);
	assert_int_equal(bed->delivered, 0);
	client_wait_bytes(bed, client, SIZE);
	client_wait_text(bed, client, "\r\n\r\n");
	char *start = strstr(client->in, "\r\n\r\n") + 4;
	client_wait_bytes(bed, client, (size_t)(start - client->in) + SIZE);
	assert_memory_equal(start, body, SIZE);
	bed_wait(bed, &bed->delivered, 1);
	free(body);
	client_close(client);
	bed_close(bed);
}

/* A file without a name, of `size` bytes that differ; the descriptor. */
static int make_file(size_t size)
{
	char path[] = "/tmp/baton-http-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	char *bytes = malloc(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)('a' + i % 23);
	assert_int_equal(write(fd, bytes, size), size);
	free(bytes);
	return fd;
}

/* Parts of a file arrive whole and are delivered only then; the next request is answered after. */
static void test_file(void **state)
{
	(void)state;
	enum { SIZE = 5 * 1024 * 1024, OFFSET = 1000001, PART = SIZE - OFFSET - 7 };
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	bed->mode = BED_PARK;
	client_send_text(client, GET("/file") GET("/next"));
	bed_wait(bed, &bed->requests, 1);
	http_reply_file(bed->net, bed->conn, 206, NULL, 0, make_file(SIZE), OFFSET, PART);
	bed_turn(bed);
	assert_int_equal(bed->delivered, 0);
	assert_int_equal(bed->requests, 1);
	client_wait_text(bed, client, "\r\n\r\n");
	assert_non_null(strstr(client->in, "206 Partial Content"));
	size_t start = (size_t)(strstr(client->in, "\r\n\r\n") + 4 - client->in);
	client_wait_bytes(bed, client, start + PART);
	for (size_t i = 0; i < PART; i++)
		assert_int_equal(client->in[start + i], 'a' + (OFFSET + i) % 23);
	bed_wait(bed, &bed->requests, 2);
	client->length = 0;
	http_reply_file(bed->net, bed->conn, 200, NULL, 0, make_file(5), 0, 0);
	client_wait_text(bed, client, "Content-Length: 0\r\n");
	bed_wait(bed, &bed->delivered, 2);
	client_close(client);
	bed_close(bed);
}

/* A file that shrinks cannot be sent as promised: the connection ends, and the file is closed. So
 * it is when the client leaves in the middle, or was gone before. */
static void test_file_ends_early(void **state)
{
	(void)state;
	enum { SIZE = 5 * 1024 * 1024 };
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open(bed);
	bed->mode = BED_PARK;
	client_send_text(client, GET("/shrinks"));
	bed_wait(bed, &bed->requests, 1);
	int file = make_file(SIZE);
	assert_int_equal(ftruncate(file, 100), 0);
	http_reply_file(bed->net, bed->conn, 200, NULL, 0, file, 0, SIZE);
	client_wait_end(bed, client);
	assert_int_equal(bed->delivered, 0);
	assert_int_equal(bed->error, ERR_IO);
	client_close(client);
	client = client_open(bed);
	client->mute = true;
	client_send_text(client, GET("/leaves"));
	bed_wait(bed, &bed->requests, 2);
	http_reply_file(bed->net, bed->conn, 200, NULL, 0, make_file(SIZE), 0, SIZE);
	bed_turn(bed);
	unsigned gone = bed->gone;
	client_close(client);
	bed_wait(bed, &bed->gone, gone + 1);
	http_reply_file(bed->net, bed->conn, 200, NULL, 0, make_file(5), 0, 5);
	bed_close(bed);
}

/* HTTP on the Unix socket tells who asks. */
static void test_unix_http(void **state)
{
	(void)state;
	struct bed *bed = bed_open(NULL);
	struct client *client = client_open_unix(bed->http_path);
	client_send_text(client, GET("/u"));
	client_wait_text(bed, client, "/u");
	assert_true(bed->peer.is_unix);
	assert_int_equal(bed->peer.pid, getpid());
	assert_int_equal(bed->peer.uid, getuid());
	assert_true(bed->peer.pid_start > 0);
	client_close(client);
	bed_close(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_pipelined_in_order),
		cmocka_unit_test(test_pipelined_flood),
		cmocka_unit_test(test_body_larger_than_declared),
		cmocka_unit_test(test_parked_client_leaves),
		cmocka_unit_test(test_parked_client_leaves_with_input),
		cmocka_unit_test(test_client_leaves_with_output),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_reply_forms),
		cmocka_unit_test(test_close_wanted),
		cmocka_unit_test(test_expect_continue),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_pressure),
		cmocka_unit_test(test_long_answer),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_ends_early),
		cmocka_unit_test(test_unix_http),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
