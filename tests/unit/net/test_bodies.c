/* Bodies in pieces, both ways: what comes out is what went in, a reader that pauses and a peer that
 * does not read cost bounded memory, what breaks off is told once, and the frame is judged as
 * strictly as that of a body in one piece. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "../http/http_cases.h"
#include "base/err.h"
#include "base/limits.h"
#include "fixture.h"
#include "net/http_receive.h"
#include "net/http_reply.h"

enum { LONG_BYTES = 5 * 1024 * 1024, BOUND_BYTES = 512 * 1024 };

#define POST(fields) "POST /up HTTP/1.1\r\nHost: h\r\n" fields "\r\n"
#define GET(path)    "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static struct fixture *open_streamed(enum fixture_mode mode)
{
	struct fixture *fixture = fixture_open(NULL);
	fixture->mode = mode;
	fixture->rule = (struct http_body_rule){.streamed = true, .bytes_max = 64 * 1024 * 1024};
	return fixture;
}

static char *make_bytes(size_t length)
{
	char *bytes = malloc(length);
	assert_non_null(bytes);
	for (size_t i = 0; i < length; i++)
		bytes[i] = (char)('a' + i * 7 % 23);
	return bytes;
}

/* By length and in chunks, cut anywhere: the same bytes, one end, then the answer, and the next
 * request on the same connection. */
static void test_pieces(void **state)
{
	static const char *const texts[] = {
		POST("Content-Length: 11\r\n") "hello world" GET("/next"),
		POST("Transfer-Encoding: chunked\r\n") "5\r\nhello\r\n6;x\r\n world\r\n0\r\nT: "
						       "r\r\n\r\n" GET("/next"),
	};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t length = strlen(texts[i]);
		for (size_t step = 1; step < length + 9; step += 9) {
			struct fixture *fixture = open_streamed(FIXTURE_PARK);
			struct client *client = client_open(fixture);
			for (size_t at = 0; at < length; at += step) {
				client_send(client, texts[i] + at,
					    length - at < step ? length - at : step);
				fixture_turn(fixture);
			}
			fixture_wait(fixture, &fixture->bodies, 1);
			assert_int_equal(fixture->requests, 1);
			assert_int_equal(fixture->body_length, 0);
			assert_int_equal(fixture->body_bytes, i == 0 ? 11 : -1);
			assert_int_equal(fixture->streamed_bytes, 11);
			assert_int_equal(fixture->streamed_sum, fixture_sum(0, "hello world", 11));
			http_reply(fixture->net, fixture->conn, 200, NULL, 0, "done", 4);
			fixture_wait(fixture, &fixture->requests, 2);
			assert_string_equal(fixture->path, "/next");
			assert_int_equal(fixture->heads,
					 1); /* a request without a body is not asked about */
			http_reply(fixture->net, fixture->conn, 200, NULL, 0, "too", 3);
			client_wait_text(fixture, client, "too");
			assert_null(strstr(client->in, "Connection: close"));
			assert_int_equal(fixture->bodies, 1);
			assert_int_equal(fixture->gone, 0);
			client_close(client);
			fixture_close(fixture);
		}
	}
}

/* A route may also want more of a body in one piece, or less; a longer one is 413. */
static void test_collected_bound(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	char *bytes = make_bytes(300 * 1024);
	fixture->rule = (struct http_body_rule){.bytes_max = 300 * 1024};
	client_send_text(client, POST("Content-Length: 307200\r\n"));
	assert_true(client_send_all(fixture, client, bytes, 300 * 1024));
	fixture_wait(fixture, &fixture->requests, 1);
	assert_int_equal(fixture->body_length, 300 * 1024);
	assert_int_equal(fixture->pieces, 0);
	client_wait_text(fixture, client, "/up");
	client_send_text(client, POST("Content-Length: 307201\r\n"));
	client_wait_text(fixture, client, "HTTP/1.1 413 ");
	client_close(client);

	client = client_open(fixture);
	fixture->rule.bytes_max = 3;
	client_send_text(client, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n1\r\nd\r\n");
	client_wait_text(fixture, client, "HTTP/1.1 413 ");
	assert_int_equal(fixture->requests, 1);
	assert_int_equal(fixture->gone, 0);
	client_close(client);
	free(bytes);
	fixture_close(fixture);
}

/* Each row of the table is judged the same when its body is wanted in pieces; one that fails behind
 * its head is told as gone, once. */
static void test_table(void **state)
{
	(void)state;
	struct fixture *fixture = open_streamed(FIXTURE_PARK);
	for (size_t i = 0; i < http_case_count; i++) {
		const struct http_case *row = &http_cases[i];
		unsigned requests = fixture->requests, gone = fixture->gone,
			 bodies = fixture->bodies;
		unsigned heads = fixture->heads;
		struct client *client = client_open(fixture);
		while (net_connection_count(fixture->net) == 0)
			fixture_turn(fixture);
		fixture->rule.bytes_max = LIMIT_BODY_BYTES;
		fixture->streamed_bytes = 0;
		client_send(client, row->bytes, row->length);
		if (row->status == 200) {
			fixture_wait(fixture, &fixture->requests, requests + 1);
			if (fixture->heads > heads)
				fixture_wait(fixture, &fixture->bodies, bodies + 1);
			if (fixture->heads > heads && row->body &&
			    fixture->streamed_bytes != strlen(row->body))
				fail_msg("C%s %s: %zu bytes", row->row, row->what,
					 fixture->streamed_bytes);
			http_reply(fixture->net, fixture->conn, 200, NULL, 0, "", 0);
			client_wait_text(fixture, client, "HTTP/1.1 200 ");
		} else if (row->status) {
			client_wait_end(fixture, client);
			if (client_status(client) != row->status)
				fail_msg("C%s %s: %d", row->row, row->what, client_status(client));
			assert_int_equal(fixture->bodies, bodies);
			assert_int_equal(fixture->gone - gone, fixture->requests - requests);
		}
		client_close(client);
		while (net_connection_count(fixture->net) > 0)
			fixture_turn(fixture);
	}
	fixture_close(fixture);
}

/* While its reader pauses, a long body waits with its client, and all of it comes afterwards. */
static void test_pause(void **state)
{
	(void)state;
	struct fixture *fixture = open_streamed(FIXTURE_PARK);
	struct client *client = client_open(fixture);
	char *bytes = make_bytes(LONG_BYTES), head[128];
	size_t sent = 0;
	fixture->pause_at_once = true;
	(void)snprintf(head, sizeof(head), POST("Content-Length: %d\r\n"), LONG_BYTES);
	client_send_text(client, head);
	fixture_wait(fixture, &fixture->requests, 1);
	size_t before = mallinfo2().uordblks;
	for (int still = 0; still < 20; still++) {
		size_t n = client_send_some(client, bytes + sent, LONG_BYTES - sent);
		sent += n;
		still = n ? 0 : still;
		fixture_turn(fixture);
	}
	assert_true(sent < LONG_BYTES); /* kernel buffers are full, and nothing else is */
	assert_true(mallinfo2().uordblks < before + BOUND_BYTES);
	assert_int_equal(fixture->pieces, 0);
	http_pause_body(fixture->net, fixture->conn, false);
	assert_true(client_send_all(fixture, client, bytes + sent, LONG_BYTES - sent));
	fixture_wait(fixture, &fixture->bodies, 1);
	assert_int_equal(fixture->streamed_bytes, LONG_BYTES);
	assert_int_equal(fixture->streamed_sum, fixture_sum(0, bytes, LONG_BYTES));
	client_close(client);
	fixture_wait(fixture, &fixture->gone, 1);
	free(bytes);
	fixture_close(fixture);
}

/* A reader that pauses at the last piece hears of the end when it goes on: nothing more comes then.
 */
static void test_pause_at_the_end(void **state)
{
	static const char *const requests[] = {
		POST("Content-Length: 3\r\n") "abc",
		POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n0\r\n\r\n",
	};
	(void)state;
	struct fixture *fixture = open_streamed(FIXTURE_PARK);

	fixture->pause_at_piece = true;
	for (unsigned i = 0; i < 2; i++) {
		struct client *client = client_open(fixture);
		client_send_text(client, requests[i]);
		fixture_wait(fixture, &fixture->pieces, i + 1);
		for (int turn = 0; turn < 5; turn++)
			fixture_turn(fixture);
		assert_int_equal(fixture->bodies, i);

		http_pause_body(fixture->net, fixture->conn, false);
		fixture_wait(fixture, &fixture->bodies, i + 1);
		http_reply(fixture->net, fixture->conn, 200, NULL, 0, "", 0);
		client_wait_text(fixture, client, "HTTP/1.1 200 OK");
		client_close(client);
	}
	fixture_close(fixture);
}

/* A body goes back as it comes, to a client that reads late: both ends wait for each other, nothing
 * is lost, little is kept. */
static void test_echo(void **state)
{
	(void)state;
	struct fixture *fixture = open_streamed(FIXTURE_ECHO);
	struct client *client = client_open(fixture);
	char *bytes = make_bytes(LONG_BYTES), head[128];
	size_t sent = 0;
	(void)snprintf(head, sizeof(head), POST("Content-Length: %d\r\n"), LONG_BYTES);
	client->mute = true;
	client_send_text(client, head);
	fixture_wait(fixture, &fixture->requests, 1);
	size_t before = mallinfo2().uordblks;
	for (int still = 0; still < 20 && sent < LONG_BYTES; still++) {
		size_t n = client_send_some(client, bytes + sent, LONG_BYTES - sent);
		sent += n;
		still = n ? 0 : still;
		fixture_turn(fixture);
		assert_true(http_stream_pending(fixture->net, fixture->conn) < BOUND_BYTES);
	}
	assert_true(mallinfo2().uordblks < before + BOUND_BYTES);
	client->mute = false;
	assert_true(client_send_all(fixture, client, bytes + sent, LONG_BYTES - sent));
	client_wait_text(fixture, client, "\r\n0\r\n\r\n");
	fixture_wait(fixture, &fixture->delivered, 1);
	assert_int_equal(fixture->streamed_sum, fixture_sum(0, bytes, LONG_BYTES));
	assert_true(client->length > LONG_BYTES);
	client_wait_end(fixture, client); /* its body had not ended when the answer began */
	client_close(client);
	free(bytes);
	fixture_close(fixture);
}

/* The writer is told to wait, then once that it may go on. */
static void test_writable(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	char *block = make_bytes(32 * 1024);
	size_t written = 0;
	fixture->mode = FIXTURE_STREAM;
	client->mute = true;
	client_send_text(client, GET("/events"));
	fixture_wait(fixture, &fixture->requests, 1);
	while (http_stream_write(fixture->net, fixture->conn, block, 32 * 1024))
		written += 32 * 1024;
	assert_true(written > 0);
	assert_true(http_stream_pending(fixture->net, fixture->conn) < 128 * 1024);
	for (int i = 0; i < 5; i++)
		fixture_turn(fixture);
	assert_int_equal(fixture->writable, 0);
	client->mute = false;
	client_wait_bytes(fixture, client, written + 32 * 1024);
	fixture_wait(fixture, &fixture->writable, 1);
	assert_int_equal(http_stream_pending(fixture->net, fixture->conn), 0);
	assert_true(http_stream_write(fixture->net, fixture->conn, "x", 1));
	fixture_turn(fixture);
	assert_int_equal(fixture->writable, 1);
	client_close(client);
	fixture_wait(fixture, &fixture->gone, 1);
	assert_false(http_stream_write(fixture->net, fixture->conn, "x", 1));
	free(block);
	fixture_close(fixture);
}

/* An answer before the body has ended ends both: the client reads it, though it is still sending.
 */
static void test_early_answer(void **state)
{
	(void)state;
	struct fixture *fixture = open_streamed(FIXTURE_PARK);
	struct client *client = client_open(fixture);
	char *bytes = make_bytes(LONG_BYTES), head[128];
	(void)snprintf(head, sizeof(head), POST("Content-Length: %d\r\n"), LONG_BYTES);
	client_send_text(client, head);
	client_send(client, bytes, 1000);
	fixture_wait(fixture, &fixture->pieces, 1);
	http_reply(fixture->net, fixture->conn, 403, NULL, 0, "no", 2);
	unsigned pieces = fixture->pieces;
	(void)client_send_all(fixture, client, bytes, LONG_BYTES - 1000);
	client_wait_text(fixture, client, "\r\n\r\nno");
	assert_non_null(strstr(client->in, "Connection: close\r\n"));
	fixture_wait(fixture, &fixture->delivered, 1);
	assert_int_equal(fixture->pieces, pieces);
	assert_int_equal(fixture->bodies, 0);
	assert_int_equal(fixture->gone, 0);
	client_close(client);
	free(bytes);
	fixture_close(fixture);
}

/* A client that asks is told to send when the body is wanted, not before. */
static void test_expect(void **state)
{
	(void)state;
	struct fixture *fixture = open_streamed(FIXTURE_PARK);
	struct client *client = client_open(fixture);
	fixture->pause_at_once = true;
	client_send_text(client, POST("Content-Length: 3\r\nExpect: 100-continue\r\n"));
	fixture_wait(fixture, &fixture->requests, 1);
	for (int i = 0; i < 5; i++)
		client_pump(fixture, client);
	assert_int_equal(client->length, 0);
	http_pause_body(fixture->net, fixture->conn, false);
	client_wait_text(fixture, client, "HTTP/1.1 100 Continue\r\n\r\n");
	client_send_text(client, "abc");
	fixture_wait(fixture, &fixture->bodies, 1);
	http_reply(fixture->net, fixture->conn, 200, NULL, 0, "", 0);
	client_wait_text(fixture, client, "HTTP/1.1 200 OK");
	client_close(client);
	fixture_close(fixture);
}

/* A client that leaves in the middle, by FIN or RST, read or paused, is gone once. */
static void test_leaves(void **state)
{
	(void)state;
	for (int way = 0; way < 4; way++) {
		struct fixture *fixture = open_streamed(FIXTURE_PARK);
		struct client *client = client_open(fixture);
		fixture->pause_at_once = way & 1;
		client_send_text(client, POST("Content-Length: 100\r\n") "abc");
		fixture_wait(fixture, &fixture->requests, 1);
		client_leave(client, way >> 1);
		fixture_wait(fixture, &fixture->gone, 1);
		assert_int_equal(net_connection_count(fixture->net), 0);
		http_pause_body(fixture->net, fixture->conn, false); /* no error, no effect */
		fixture_turn(fixture);
		assert_int_equal(fixture->gone, 1);
		assert_int_equal(fixture->bodies, 0);
		fixture_close(fixture);
	}
}

/* A body that stalls is 408 and gone; while its reader pauses, nothing is held against the client;
 * one that goes on, however slowly, is not cut. */
static void test_stall(void **state)
{
	const struct net_options options = {.connections_max = 16,
					    .header_time_ms = 5000,
					    .body_time_ms = 600,
					    .write_time_ms = 5000};
	(void)state;
	struct fixture *fixture = fixture_open(&options);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_PARK;
	fixture->rule = (struct http_body_rule){.streamed = true, .bytes_max = 100};
	fixture->pause_at_once = true;
	client_send_text(client, POST("Content-Length: 30\r\n"));
	fixture_wait(fixture, &fixture->requests, 1);
	for (struct mono_ms until = mono_after(loop_now(), 1200); !mono_due(until, loop_now());)
		fixture_turn(fixture);
	assert_int_equal(fixture->gone, 0);

	http_pause_body(fixture->net, fixture->conn, false);
	struct mono_ms start = loop_now();
	for (unsigned i = 1; i <= 10; i++) {
		client_send_text(client, "x");
		fixture_wait(fixture, &fixture->pieces, i);
		struct mono_ms until = mono_after(loop_now(), 80);
		while (!mono_due(until, loop_now()))
			fixture_turn(fixture);
	}
	assert_true(mono_since(loop_now(), start) > options.body_time_ms);
	assert_int_equal(fixture->gone, 0);
	fixture_wait(fixture, &fixture->gone, 1);
	client_wait_end(fixture, client);
	assert_int_equal(client_status(client), 408);
	assert_int_equal(fixture->error, ERR_SLOW);
	client_close(client);
	fixture_close(fixture);
}

/* What breaks off behind an answer that has begun ends the connection: nothing can be said. */
static void test_broken_behind_answer(void **state)
{
	(void)state;
	struct fixture *fixture = open_streamed(FIXTURE_ECHO);
	struct client *client = client_open(fixture);
	client_send_text(client, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\nzz\r\n");
	fixture_wait(fixture, &fixture->gone, 1);
	client_wait_end(fixture, client);
	assert_int_equal(client_status(client), 200);
	assert_null(strstr(client->in, "\r\n0\r\n"));
	assert_int_equal(fixture->error, ERR_BAD_REQUEST);
	client_close(client);
	fixture_close(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_collected_bound),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_at_the_end),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_writable),
		cmocka_unit_test(test_early_answer),
		cmocka_unit_test(test_expect),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_broken_behind_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
