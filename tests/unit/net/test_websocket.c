/* WebSocket sessions over real sockets: the handshake, messages both ways, every kind of end, the
 * rate, the send buffer, dead peers (CASES.md C 9, 33 to 37). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/limits.h"
#include "fixture.h"
#include "net/http_reply.h"
#include "net/session.h"
#include "net/ws.h"

#define HANDSHAKE                                                                                  \
	"GET /s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"      \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"             \
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
#define MASK "\x01\x02\x03\x04"

static const struct net_options quick = {
	.connections_max = 64,
	.connections_reserved_max = 4,
	.header_time_ms = 5000,
	.body_time_ms = 5000,
	.write_time_ms = 5000,
	.ping_time_ms = 20,
	.close_time_ms = 60,
};

/* A session whose handshake's answer has been read. */
static struct client *open_session(struct fixture *fixture)
{
	struct client *client = client_open(fixture);
	unsigned requests = fixture->requests;
	fixture->mode = FIXTURE_ACCEPT;
	client_send_text(client, HANDSHAKE);
	client_wait_text(fixture, client, "\r\n\r\n");
	assert_int_equal(client_status(client), 101);
	assert_int_equal(fixture->requests, requests + 1);
	client->length = 0;
	return client;
}

static void send_text(struct client *client, const char *text)
{
	char frame[160] = "\x81";
	size_t length = strlen(text);
	assert_true(length < 126);
	frame[1] = (char)(0x80 | length);
	memcpy(frame + 2, MASK, 4);
	for (size_t i = 0; i < length; i++)
		frame[6 + i] = (char)(text[i] ^ MASK[i % 4]);
	client_send(client, frame, 6 + length);
}

/* Reads to the end and returns the code of the close frame, which must be the last thing. */
static int closing_code(struct fixture *fixture, struct client *client)
{
	client_wait_end(fixture, client);
	for (size_t at = 0; at + 1 < client->length;) {
		const unsigned char *frame = (unsigned char *)client->in + at;
		size_t length = frame[1], head = 2;
		if (length == 126) {
			length = (size_t)frame[2] << 8 | frame[3];
			head = 4;
		}
		at += head + length;
		if (frame[0] == 0x88) {
			assert_int_equal(at, client->length);
			return length < 2 ? 1005 : frame[2] << 8 | frame[3];
		}
	}
	fail_msg("no close frame");
	return 0;
}

/* The answer to RFC 6455's sample key; no extension is negotiated (C37). */
static void test_handshake(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_ACCEPT;
	client_send_text(client, HANDSHAKE);
	client_wait_text(fixture, client, "\r\n\r\n");
	assert_non_null(
		strstr(client->in, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_null(strstr(client->in, "Extensions"));
	client_close(client);
	fixture_wait(fixture, &fixture->closed, 1);
	assert_false(fixture->clean);
	assert_int_equal(fixture->conn_closed, fixture->conn);
	fixture_close(fixture);
}

/* The handler may refuse a handshake with a plain answer, and only a handshake can be accepted. */
static void test_refused(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_PARK;
	client_send_text(client, HANDSHAKE);
	fixture_wait(fixture, &fixture->requests, 1);
	http_reply(fixture->net, fixture->conn, 403, NULL, 0, "no", 2);
	assert_int_equal(http_accept_websocket(fixture->net, fixture->conn), -ERR_STATE);
	client_wait_text(fixture, client, "no");
	assert_int_equal(client_status(client), 403);
	client_send_text(client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	fixture_wait(fixture, &fixture->requests, 2);
	assert_int_equal(http_accept_websocket(fixture->net, fixture->conn), -ERR_STATE);
	client_close(client);
	fixture_wait(fixture, &fixture->gone, 1);
	fixture_close(fixture);
}

/* Messages go both ways, also ones sent in the same packet as the handshake. */
static void test_messages(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = client_open(fixture);
	fixture->mode = FIXTURE_ACCEPT;
	fixture->echo = true;
	client_send_text(client, HANDSHAKE "\x81\x85" MASK "igohn"); /* "hello" */
	client_wait_text(fixture, client, "\x81\x05hello");
	assert_string_equal(fixture->text, "hello");
	send_text(client, "{\"type\":\"hello\"}");
	client_wait_text(fixture, client, "{\"type\":\"hello\"}");
	client_send(client, "\x89\x82" MASK "qk", 8);
	client_wait_text(fixture, client, "\x8a\x02pi"); /* a ping is answered with its bytes */
	client_close(client);
	fixture_close(fixture);
}

static const struct {
	const char *row, *what, *bytes;
	size_t length;
	int code;
} refusals[] = {
#define ROW(row, what, bytes, code)                                                                \
	{                                                                                          \
		row, what, bytes, sizeof(bytes) - 1, code                                          \
	}
	ROW("33", "unmasked frame", "\x81\x01z", 1002),
	ROW("33", "reserved bit", "\xa1\x81" MASK "z", 1002),
	ROW("33", "reserved opcode", "\x83\x81" MASK "z", 1002),
	ROW("33", "fragmented control frame", "\x09\x80" MASK, 1002),
	ROW("33", "long control frame", "\x89\xfe\x00\x7e" MASK, 1002),
	ROW("34", "length 2^63", "\x81\xff\x80\0\0\0\0\0\0\0" MASK, 1009),
	ROW("34", "message over 64 KiB", "\x81\xff\0\0\0\0\0\x01\0\x01" MASK, 1009),
	ROW("35", "broken UTF-8", "\x81\x81" MASK "\xff", 1007),
	ROW("35", "close code 1004", "\x88\x82" MASK "\x02\xee", 1002),
	ROW("35", "close code 1005", "\x88\x82" MASK "\x02\xef", 1002),
	ROW("35", "close code 5000", "\x88\x82" MASK "\x12\x8a", 1002),
	ROW("37", "compressed frame", "\xc1\x81" MASK "z", 1002),
	ROW("-", "binary message", "\x82\x81" MASK "z", 1003),
};

/* Each violation ends in its close code, and the session is reported closed once, not clean. */
static void test_refusals(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	for (unsigned i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		struct client *client = open_session(fixture);
		client_send(client, refusals[i].bytes, refusals[i].length);
		int code = closing_code(fixture, client);
		if (code != refusals[i].code)
			fail_msg("C%s %s: code %d", refusals[i].row, refusals[i].what, code);
		fixture_wait(fixture, &fixture->closed, i + 1);
		assert_false(fixture->clean);
		assert_int_equal(fixture->errors, i + 1);
		client_close(client);
	}
	assert_int_equal(fixture->messages, 0);
	fixture_close(fixture);
}

/* The peer's close is answered with its code, is clean, and data behind it is not looked at (C35).
 */
static void test_peer_closes(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);
	client_send(client, "\x88\x82" MASK "\x02\xea\x81\x81" MASK "z\xff\xff\xff", 18);
	assert_int_equal(closing_code(fixture, client), 1000);
	fixture_wait(fixture, &fixture->closed, 1);
	assert_true(fixture->clean);
	assert_int_equal(fixture->messages, 0);
	client_close(client);
	fixture_close(fixture);
}

/* C9: the server's own code and reason reach the page; its answer makes the end clean. What was
 * sent before comes first; what is sent after goes nowhere. */
static void test_server_closes(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);
	net_session_send(fixture->net, fixture->conn, "bye", 3);
	net_session_close(fixture->net, fixture->conn, 4401, "token");
	net_session_send(fixture->net, fixture->conn, "late", 4);
	net_session_close(fixture->net, fixture->conn, 1000, "twice");
	client_wait_text(fixture, client,
			 "\x81\x03"
			 "bye\x88\x07\x11\x31token");
	send_text(client, "ignored");
	client_send(client, "\x88\x82" MASK "\x10\x33", 8);
	fixture_wait(fixture, &fixture->closed, 1);
	assert_true(fixture->clean);
	client_wait_end(fixture, client);
	assert_null(memmem(client->in, client->length, "late", 4));
	assert_int_equal(fixture->messages, 0);
	client_close(client);
	fixture_close(fixture);
}

/* What a page said before it went counts, though it takes no answer. */
static void test_last_words(void **state)
{
	static const char frame[] = "\x81\x81" MASK "`"; /* "a" */
	enum { COUNT = 20, FRAME_BYTES = sizeof(frame) - 1 };
	char frames[COUNT * FRAME_BYTES];
	(void)state;
	for (int i = 0; i < COUNT; i++)
		memcpy(frames + i * FRAME_BYTES, frame, FRAME_BYTES);
	for (int reset = 0; reset <= 1; reset++) {
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = open_session(fixture);
		fixture->echo = true;
		client_send(client, frames,
			    sizeof(frames)); /* a reset drops what waits to be sent */
		client_leave(client, reset);
		fixture_wait(fixture, &fixture->closed, 1);
		assert_int_equal(fixture->messages, COUNT);
		fixture_close(fixture);
	}
}

/* A peer that never answers the close frame is dropped at the deadline. */
static void test_close_unanswered(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&quick);
	struct client *client = open_session(fixture);
	net_session_close(fixture->net, fixture->conn, 1000, NULL);
	fixture_wait(fixture, &fixture->closed, 1);
	assert_false(fixture->clean);
	assert_int_equal(net_connection_count(fixture->net), 0);
	client_close(client);
	fixture_close(fixture);
}

/* A rate that is raised after the first message has its whole burst at once. */
static void test_rate_is_raised(void **state)
{
	static const char frame[] = "\x81\x81" MASK "`"; /* "a" */
	enum { RATE = 10 * LIMIT_MESSAGES_PER_S, FRAME_BYTES = sizeof(frame) - 1 };
	static char frames[(RATE - 1) * FRAME_BYTES];
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);

	(void)state;
	for (int i = 0; i < RATE - 1; i++)
		memcpy(frames + i * FRAME_BYTES, frame, FRAME_BYTES);
	send_text(client, "hello");
	fixture_wait(fixture, &fixture->messages, 1);
	net_session_rate(fixture->net, fixture->conn, RATE);
	client_send(client, frames, sizeof(frames));
	fixture_wait(fixture, &fixture->messages, RATE);
	assert_int_equal(fixture->closed, 0);
	client_close(client);
	fixture_wait(fixture, &fixture->closed, 1);
	fixture_close(fixture);
}

/* C36: more messages, or pings, than the rate allows end in 1008. The burst itself is let in. */
static void test_rate(void **state)
{
	(void)state;
	for (int ping = 0; ping < 2; ping++) {
		struct fixture *fixture = fixture_open(NULL);
		struct client *client = open_session(fixture);
		for (int i = 0; i < 3 * LIMIT_MESSAGES_PER_S; i++) {
			if (ping)
				client_send(client, "\x89\x80" MASK, 6);
			else
				send_text(client, "x");
		}
		assert_int_equal(closing_code(fixture, client), 1008);
		fixture_wait(fixture, &fixture->closed, 1);
		assert_int_equal(fixture->error, ERR_RATE_LIMITED);
		if (!ping)
			assert_in_range(fixture->messages, LIMIT_MESSAGES_PER_S,
					LIMIT_MESSAGES_PER_S + LIMIT_MESSAGES_PER_S / 2);
		client_close(client);
		fixture_close(fixture);
	}
}

/* C34: a gigabyte in fragments of one byte ends in 1009 long before. */
static void test_tiny_fragments(void **state)
{
	(void)state;
	enum { FRAMES = 700 };
	struct fixture *fixture = fixture_open(NULL);
	struct client *client = open_session(fixture);
	char *frames = malloc(FRAMES * 7);
	for (int i = 0; i < FRAMES; i++)
		memcpy(frames + (size_t)i * 7, "\x00\x81" MASK "z", 7);
	client_send(client, "\x01\x80" MASK, 6);
	for (int i = 0; i * FRAMES <= LIMIT_FRAME_BYTES; i++) {
		client_send(client, frames, FRAMES * 7);
		client_pump(fixture, client);
	}
	assert_int_equal(closing_code(fixture, client), 1009);
	assert_int_equal(fixture->messages, 0);
	free(frames);
	client_close(client);
	fixture_close(fixture);
}

/* C36: a peer that never reads is closed when the send buffer is full, and memory stays bounded. */
static void test_never_reads(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&quick);
	struct client *client = open_session(fixture);
	char *text = malloc(60000);
	memset(text, 't', 60000);
	client->mute = true;
	int sent = 0;
	for (; fixture->errors == 0 && sent < 1000; sent++) {
		net_session_send(fixture->net, fixture->conn, text, 60000);
		if (sent % 16 == 0)
			client_pump(fixture, client);
	}
	assert_true(sent < 1000);
	assert_int_equal(fixture->error, ERR_SLOW);
	fixture_wait(fixture, &fixture->closed, 1);
	free(text);
	client_close(client);
	fixture_close(fixture);
}

/* A browser that answers no ping is found dead; one that answers stays. */
static void test_dead_peer(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_open(&quick);
	struct client *living = open_session(fixture), *dead = open_session(fixture);
	uint64_t dead_conn = fixture->conn;
	while (fixture->closed == 0) {
		client_pump(fixture, living);
		if (memmem(living->in, living->length, "\x89\x00", 2)) {
			living->length = 0;
			client_send(living, "\x8a\x80" MASK, 6);
		}
	}
	assert_int_equal(fixture->conn_closed, dead_conn);
	assert_int_equal(net_connection_count(fixture->net), 1);
	client_close(living);
	client_close(dead);
	fixture_close(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),        cmocka_unit_test(test_refused),
		cmocka_unit_test(test_messages),         cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_peer_closes),      cmocka_unit_test(test_server_closes),
		cmocka_unit_test(test_close_unanswered), cmocka_unit_test(test_rate),
		cmocka_unit_test(test_tiny_fragments),   cmocka_unit_test(test_never_reads),
		cmocka_unit_test(test_dead_peer),        cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_rate_is_raised),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
