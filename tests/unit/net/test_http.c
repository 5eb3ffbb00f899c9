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
#include "fixture.h"
#include "net/http_reply.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void check_row(struct fixture *fixture, const struct http_case *row)
{
	unsigned requests = fixture->requests, errors = fixture->errors;
	struct client *client = client_open(fixture);
	client_send(client, row->bytes, row->length);
	if (row->status == 200) {
		fixture_wait(fixture, &fixture->requests, requests + 1);
		client_wait_text(fixture, client, "\r\n\r\n");
		assert_int_equal(client_status(client), 200);
		if (row->path)
			assert_string_equal(fixture->path, row->path);
		if (row->body)
			assert_string_equal(fixture->body, row->body);
	} else if (row->status) {
		client_wait_end(fixture, client);
		if (client_status(client) != row->status)
			fail_msg("C%s %s: %d instead of %d", row->row, row->what,
				 client_status(client), row->status);
		assert_non_null(strstr(client->in, "Connection: close\r\n"));
		assert_int_equal(fixture->requests, requests); /* the handler saw nothing */
		assert_int_equal(fixture->errors, errors + 1);
	}
	client_close(client);
}

/* Each row: refused ones get their status and the connection is closed, the handler is not asked.
 */
static void test_table(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	for (size_t i = 0; i < http_case_count; i++)
		check_row(fixture, &http_cases[i]);
	fixture_close(fixture);
}

/* Keep-alive: many requests on one connection, each delivered, none kept in memory. */
static void test_keep_alive(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	for (unsigned i = 1; i <= 50; i++) {
		client->length = 0;
		client_send_text(client, GET("/again"));
		client_wait_text(fixture, client, "/again");
		assert_int_equal(client_status(client), 200);
		fixture_wait(fixture, &fixture->delivered, i);
	}
	assert_int_equal(fixture->requests, 50);
	assert_int_equal(fixture->gone, 0);
	assert_int_equal(net_connection_count(fixture->net), 1);
	client_close(client);
	fixture_close(fixture);
}

/* A request sent ahead is not begun before the one in front is answered, and answers are in order.
 */
static void test_pipelined_in_order(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_PARK;
	client_send_text(client, GET("/1") GET("/2") GET("/3"));
	fixture_wait(fixture, &fixture->requests, 1);
	uint64_t first = fixture->conn;
	for (int i = 0; i < 5; i++)
		client_pump(fixture, client);
	assert_int_equal(fixture->requests, 1);
	http_reply(fixture->net, first, 200, NULL, 0, "one", 3);
	fixture_wait(fixture, &fixture->requests, 2);
	assert_int_not_equal(fixture->conn, first);
	http_reply(fixture->net, first, 200, NULL, 0, "late", 4); /* a used number does nothing */
	http_reply(fixture->net, fixture->conn, 200, NULL, 0, "two", 3);
	fixture_wait(fixture, &fixture->requests, 3);
	http_reply(fixture->net, fixture->conn, 200, NULL, 0, "three", 5);
	client_wait_text(fixture, client, "three");
	char *one = strstr(client->in, "one"), *two = strstr(client->in, "two");
	assert_true(one && two && one < two && two < strstr(client->in, "three"));
	assert_null(strstr(client->in, "late"));
	assert_string_equal(fixture->order, "/1/2/3");
	client_close(client);
	fixture_close(fixture);
}

/* A thousand requests in one write are all answered, though reading pauses on the way. */
static void test_pipelined_flood(void **state)
{
	(void)state;
	enum { COUNT = 1500 };
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_PARK;
	static const char request[] = "POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"
				      "0123456789012345678901234567890123456789012345678901234567"
				      "890123456789012345678901234567890123456789";
	for (int i = 0; i < COUNT; i++) {
		client_send_text(client, request);
		if (i % 100 == 0)
			client_pump(fixture, client);
	}
	for (unsigned i = 1; i <= COUNT; i++) {
		fixture_wait(fixture, &fixture->requests, i);
		http_reply(fixture->net, fixture->conn, 200, NULL, 0, "y", 1);
	}
	fixture_wait(fixture, &fixture->delivered, COUNT);
	assert_int_equal(fixture->gone, 0);
	client_close(client);
	fixture_close(fixture);
}

/* Two different requests may not be seen as one: garbage behind a body is a malformed request. */
static void test_body_larger_than_declared(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	client_send_text(client, "POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
				 "abcdef\r\n\r\n");
	client_wait_end(fixture, client);
	assert_int_equal(fixture->requests, 1);
	assert_string_equal(fixture->body, "abc");
	assert_non_null(strstr(client->in, "HTTP/1.1 400 "));
	client_close(client);
	fixture_close(fixture);
}

/* C14, C32: a parked client that leaves, by FIN or by RST, is noticed in the turn that sees it. */
static void test_parked_client_leaves(void **state)
{
	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = client_open(fixture);
		fixture->mode = FIXTURE_PARK;
		client_send_text(client, GET("/lock"));
		fixture_wait(fixture, &fixture->requests, 1);
		client_leave(client, reset);
		loop_turn(fixture->loop); /* one turn */
		assert_int_equal(fixture->gone, 1);
		assert_int_equal(fixture->conn_gone, fixture->conn);
		assert_int_equal(net_connection_count(fixture->net), 0);
		http_reply(fixture->net, fixture->conn, 200, NULL, 0, "x",
			   1); /* no error, no effect */
		fixture_close(fixture);
	}
}

/* The same while requests sent ahead lie unread in the kernel. */
static void test_parked_client_leaves_with_input(void **state)
{
	char *ahead = malloc(60000);
	(void)state;
	memset(ahead, 'x', 60000);
	for (int reset = 0; reset < 2; reset++) {
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = client_open(fixture);
		fixture->mode = FIXTURE_PARK;
		client_send_text(client, GET("/lock"));
		fixture_wait(fixture, &fixture->requests, 1);
		for (int i = 0; i < 4; i++) {
			client_send(client, ahead, 60000);
			client_pump(fixture, client);
		}
		assert_int_equal(fixture->gone, 0);
		client_leave(client, reset);
		fixture_wait(fixture, &fixture->gone, 1);
		assert_int_equal(net_connection_count(fixture->net), 0);
		fixture_close(fixture);
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
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = client_open(fixture);
		fixture->mode = FIXTURE_STREAM;
		client->mute = true;
		client_send_text(client, GET("/stream"));
		fixture_wait(fixture, &fixture->requests, 1);
		http_stream_write(fixture->net, fixture->conn, body, SIZE);
		for (int i = 0; i < 4; i++) {
			client_send(client, body, 60000); /* sent ahead, until reading pauses */
			client_pump(fixture, client);
		}
		client_leave(client, reset);
		fixture_wait(fixture, &fixture->gone, 1);
		fixture_close(fixture);
	}
	free(body);
}

/* A client that ends its side right behind its request still gets the answer. */
static void test_half_closed(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	client_send_text(client, GET("/half"));
	assert_int_equal(shutdown(client->fd, SHUT_WR), 0);
	client_wait_end(fixture, client);
	assert_int_equal(client_status(client), 200);
	client_close(client);
	fixture_close(fixture);
}

/* HEAD has the length and no body; 204 and 304 have neither; header values cannot end their line.
 */
static void test_reply_forms(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_PARK;
	client_send_text(client, "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n");
	fixture_wait(fixture, &fixture->requests, 1);
	const struct http_header headers[] = {{"X-A", "b\r\nX-Evil: c"}, {"X-D", "e"}};
	http_reply(fixture->net, fixture->conn, 200, headers, 2, "12345", 5);
	client_wait_text(fixture, client, "\r\n\r\n");
	assert_non_null(strstr(client->in, "\r\nContent-Length: 5\r\n\r\n"));
	assert_non_null(strstr(client->in, "\r\nDate: "));
	assert_non_null(strstr(client->in, "\r\nX-A: b  X-Evil: c\r\nX-D: e\r\n"));
	assert_null(strstr(client->in, "12345"));
	client->length = 0;
	client_send_text(client, GET("/n"));
	fixture_wait(fixture, &fixture->requests, 2);
	http_reply(fixture->net, fixture->conn, 204, NULL, 0, NULL, 0);
	client_wait_text(fixture, client, "\r\n\r\n");
	assert_null(strstr(client->in, "Content-Length"));
	client_close(client);
	fixture_close(fixture);
}

/* Connection: close and HTTP/1.0 end the connection behind the answer, and it is delivered. */
static void test_close_wanted(void **state)
{
	(void)state;
	static const char *const requests[] = {
		"GET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"GET /c HTTP/1.0\r\nHost: h\r\n\r\n",
	};
	struct fixture *fixture = fixture_open(NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct client *client = client_open(fixture);
		client_send_text(client, requests[i]);
		client_wait_end(fixture, client);
		assert_int_equal(client_status(client), 200);
		assert_non_null(strstr(client->in, "Connection: close\r\n"));
		client_close(client);
		fixture_wait(fixture, &fixture->delivered, i + 1);
	}
	fixture_close(fixture);
}

/* curl waits for 100 Continue before it sends a long body. */
static void test_expect_continue(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	client_send_text(client, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
				 "Expect: 100-continue\r\n\r\n");
	client_wait_text(fixture, client, "HTTP/1.1 100 Continue\r\n\r\n");
	client_send_text(client, "abc");
	client_wait_text(fixture, client, "HTTP/1.1 200 OK");
	assert_string_equal(fixture->body, "abc");
	client_close(client);
	fixture_close(fixture);
}

/* A stream is chunked on HTTP/1.1 and ends with the connection on HTTP/1.0. */
static void test_stream(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	fixture->mode = FIXTURE_STREAM;
	struct client *client = client_open(fixture);
	client_send_text(client, GET("/events"));
	fixture_wait(fixture, &fixture->requests, 1);
	http_stream_write(fixture->net, fixture->conn, "hello", 5);
	client_wait_text(fixture, client, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	http_stream_end(fixture->net, fixture->conn);
	client_wait_text(fixture, client, "0\r\n\r\n");
	fixture_wait(fixture, &fixture->delivered, 1);
	client->length = 0;
	client_send_text(client, "GET /e HTTP/1.0\r\nHost: h\r\n\r\n");
	fixture_wait(fixture, &fixture->requests, 2);
	http_stream_write(fixture->net, fixture->conn, "raw", 3);
	http_stream_end(fixture->net, fixture->conn);
	client_wait_end(fixture, client);
	assert_non_null(strstr(client->in, "\r\n\r\nraw"));
	client_close(client);
	fixture_close(fixture);
}

/* The writer sees what is not taken; a peer that never reads is dropped at the cap; one that leaves
 * is told as gone. */
static void test_stream_pressure(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	char *block = calloc(1, 256 * 1024);
	fixture->mode = FIXTURE_STREAM;
	client->mute = true;
	client_send_text(client, GET("/events"));
	fixture_wait(fixture, &fixture->requests, 1);
	assert_int_equal(http_stream_pending(fixture->net, fixture->conn), 0);
	for (int i = 0; i < 200 && fixture->gone == 0; i++) {
		size_t pending = http_stream_pending(fixture->net, fixture->conn);
		assert_true(pending <= LIMIT_SEND_BUFFER_BYTES + 512 * 1024);
		http_stream_write(fixture->net, fixture->conn, block, 256 * 1024);
		fixture_turn(fixture);
	}
	assert_int_equal(fixture->gone, 1);
	assert_int_equal(fixture->error, ERR_SLOW);
	client_close(client);
	client = client_open(fixture);
	client_send_text(client, GET("/events"));
	fixture_wait(fixture, &fixture->requests, 2);
	client_close(client);
	fixture_wait(fixture, &fixture->gone, 2);
	free(block);
	fixture_close(fixture);
}

/* An answer far over the socket's buffer arrives whole and is delivered only then. */
static void test_long_answer(void **state)
{
	(void)state;
	enum { SIZE = 5 * 1024 * 1024 };
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	char *body = malloc(SIZE);
	for (int i = 0; i < SIZE; i++)
		body[i] = (char)('a' + i % 23);
	fixture->mode = FIXTURE_PARK;
	client_send_text(client, GET("/long"));
	fixture_wait(fixture, &fixture->requests, 1);
	http_reply(fixture->net, fixture->conn, 200, NULL, 0, body, SIZE);
	fixture_turn(fixture);
	assert_int_equal(fixture->delivered, 0);
	client_wait_bytes(fixture, client, SIZE);
	client_wait_text(fixture, client, "\r\n\r\n");
	char *start = strstr(client->in, "\r\n\r\n") + 4;
	client_wait_bytes(fixture, client, (size_t)(start - client->in) + SIZE);
	assert_memory_equal(start, body, SIZE);
	fixture_wait(fixture, &fixture->delivered, 1);
	free(body);
	client_close(client);
	fixture_close(fixture);
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
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_PARK;
	client_send_text(client, GET("/file") GET("/next"));
	fixture_wait(fixture, &fixture->requests, 1);
	http_reply_file(fixture->net, fixture->conn, 206, NULL, 0, make_file(SIZE), OFFSET, PART);
	fixture_turn(fixture);
	assert_int_equal(fixture->delivered, 0);
	assert_int_equal(fixture->requests, 1);
	client_wait_text(fixture, client, "\r\n\r\n");
	assert_non_null(strstr(client->in, "206 Partial Content"));
	size_t start = (size_t)(strstr(client->in, "\r\n\r\n") + 4 - client->in);
	client_wait_bytes(fixture, client, start + PART);
	for (size_t i = 0; i < PART; i++)
		assert_int_equal(client->in[start + i], 'a' + (OFFSET + i) % 23);
	fixture_wait(fixture, &fixture->requests, 2);
	client->length = 0;
	http_reply_file(fixture->net, fixture->conn, 200, NULL, 0, make_file(5), 0, 0);
	client_wait_text(fixture, client, "Content-Length: 0\r\n");
	fixture_wait(fixture, &fixture->delivered, 2);
	client_close(client);
	fixture_close(fixture);
}

/* A file that shrinks cannot be sent as promised: the connection ends, and the file is closed. So
 * it is when the client leaves in the middle, or was gone before. */
static void test_file_ends_early(void **state)
{
	(void)state;
	enum { SIZE = 5 * 1024 * 1024 };
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_PARK;
	client_send_text(client, GET("/shrinks"));
	fixture_wait(fixture, &fixture->requests, 1);
	int file = make_file(SIZE);
	assert_int_equal(ftruncate(file, 100), 0);
	http_reply_file(fixture->net, fixture->conn, 200, NULL, 0, file, 0, SIZE);
	client_wait_end(fixture, client);
	assert_int_equal(fixture->delivered, 0);
	assert_int_equal(fixture->error, ERR_IO);
	client_close(client);
	client = client_open(fixture);
	client->mute = true;
	client_send_text(client, GET("/leaves"));
	fixture_wait(fixture, &fixture->requests, 2);
	http_reply_file(fixture->net, fixture->conn, 200, NULL, 0, make_file(SIZE), 0, SIZE);
	fixture_turn(fixture);
	unsigned gone = fixture->gone;
	client_close(client);
	fixture_wait(fixture, &fixture->gone, gone + 1);
	http_reply_file(fixture->net, fixture->conn, 200, NULL, 0, make_file(5), 0, 5);
	fixture_close(fixture);
}

/* HTTP on the Unix socket tells who asks. */
static void test_unix_http(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open_unix(fixture->http_path);
	client_send_text(client, GET("/u"));
	client_wait_text(fixture, client, "/u");
	assert_true(fixture->peer.is_unix);
	assert_int_equal(fixture->peer.pid, getpid());
	assert_int_equal(fixture->peer.uid, getuid());
	assert_true(fixture->peer.pid_start > 0);
	client_close(client);
	fixture_close(fixture);
}

/* A length that was announced is kept to: more is dropped, less cuts the connection. */
static void test_sized_stream(void **state)
{
	static const struct {
		const char *method, *body;
		int status;
		uint64_t length;
		const char *want; /* the answer's end */
		bool cut;
	} rows[] = {
		{"GET", "hello", 200, 5, "Content-Length: 5\r\n\r\nhello", false},
		{"GET", "hello!", 200, 5, "Content-Length: 5\r\n\r\nhello", false},
		{"GET", "hell", 200, 5, "Content-Length: 5\r\n\r\nhell", true},
		{"GET", "", 200, 0, "Content-Length: 0\r\n\r\n", false},
		{"HEAD", "", 200, 5, "Content-Length: 5\r\n\r\n", false},
		{"GET", "", 304, 5, "\r\n\r\n", false},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = client_open(fixture);
		char text[64];

		fixture->mode = FIXTURE_PARK;
		(void)snprintf(text, sizeof(text), "%s /x HTTP/1.1\r\nHost: h\r\n\r\n",
			       rows[i].method);
		client_send_text(client, text);
		fixture_wait(fixture, &fixture->requests, 1);
		http_stream_begin_sized(fixture->net, fixture->conn, rows[i].status, NULL, 0,
					rows[i].length);
		(void)http_stream_write(fixture->net, fixture->conn, rows[i].body,
					strlen(rows[i].body));
		http_stream_end(fixture->net, fixture->conn);
		client_wait_text(fixture, client, rows[i].want);
		assert_null(strstr(client->in, "chunked"));
		assert_string_equal(client->in + client->length - strlen(rows[i].want),
				    rows[i].want);
		if (rows[i].cut) {
			client_wait_end(fixture, client);
		} else {
			client_send_text(client, text); /* the connection is as good as before */
			fixture_wait(fixture, &fixture->requests, 2);
		}
		client_close(client);
		fixture_close(fixture);
	}
}

enum head_act { HEAD_WRITE, HEAD_WAIT, HEAD_END, HEAD_ABORT };

/* What a client got of an answer of that act, without another turn of the loop. */
static void act_on_head(struct fixture *fixture, struct client *client, enum head_act act)
{
	client_send_text(client, GET("/x"));
	fixture_wait(fixture, &fixture->requests, 1);
	http_stream_begin_sized(fixture->net, fixture->conn, 200, NULL, 0, act == HEAD_END ? 0 : 5);
	assert_int_equal(recv(client->fd, client->in, 1, MSG_PEEK), -1);

	if (act == HEAD_WRITE)
		(void)http_stream_write(fixture->net, fixture->conn, "hello", 5);
	else if (act == HEAD_WAIT)
		fixture_turn(fixture);
	else if (act == HEAD_END)
		http_stream_end(fixture->net, fixture->conn);
	else
		http_stream_abort(fixture->net, fixture->conn);
}

/* The head of a stream goes out in one write with its first bytes; alone, if there are none by the
 * end of the iteration or of the stream. */
static void test_stream_head(void **state)
{
	(void)state;

	for (enum head_act act = HEAD_WRITE; act <= HEAD_ABORT; act++) {
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = client_open(fixture);
		ssize_t length;

		fixture->mode = FIXTURE_PARK;
		act_on_head(fixture, client, act);
		length = recv(client->fd, client->in, 1024, 0);
		assert_true(length > 0);
		assert_memory_equal(client->in, "HTTP/1.1 200 OK\r\n", 17);
		if (act == HEAD_WRITE)
			assert_memory_equal(client->in + length - 9, "\r\n\r\nhello", 9);
		else
			assert_memory_equal(client->in + length - 4, "\r\n\r\n", 4);
		if (act == HEAD_ABORT)
			client_wait_end(fixture, client);
		client_close(client);
		fixture_close(fixture);
	}
}

/* One that is still due goes with its connection. */
static void test_stream_head_of_the_lost(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);

	fixture->mode = FIXTURE_PARK;
	client_send_text(client, GET("/x"));
	fixture_wait(fixture, &fixture->requests, 1);
	http_stream_begin(fixture->net, fixture->conn, 200, NULL, 0);
	client_leave(client, true);
	fixture_wait(fixture, &fixture->gone, 1);

	client = client_open(fixture);
	fixture->mode = FIXTURE_STREAM;
	client_send_text(client, GET("/x"));
	fixture_wait(fixture, &fixture->requests, 2);
	client_close(client);
	fixture_close(fixture); /* with a stream that has begun */
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
		cmocka_unit_test(test_sized_stream),
		cmocka_unit_test(test_stream_head),
		cmocka_unit_test(test_stream_head_of_the_lost),
		cmocka_unit_test(test_stream_pressure),
		cmocka_unit_test(test_long_answer),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_ends_early),
		cmocka_unit_test(test_unix_http),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
