/* Goal: after an upgrade two connections are one pipe of bytes: nothing is lost at either end, also
 * where one side ends while the other does not read; a side that breaks off ends the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/err.h"
#include "fixture.h"
#include "net/listen.h"
#include "net/tunnel.h"
#include "net/upstream.h"
#include "origin.h"

enum { LONG_BYTES = 5632 * 1024, TIMES_MS = 50 };

static const char head[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
static const char request_text[] = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
				   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
				   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/* One tunnel at a time. */
struct pipe {
	struct fixture *fixture;
	struct origin origin;
	struct net *net;
	struct upstream *upstream;
	struct client *client;
	struct visit *visit;
	uint64_t conn, request;
	unsigned ends, gone;
	int err;
	bool nobody;
};

static void on_bytes(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	struct pipe *pipe = ctx;
	if (!tunnel_write(pipe->net, pipe->conn, bytes, length))
		upstream_pause(pipe->upstream, request, true);
}

static void on_server_ready(void *ctx, uint64_t request)
{
	struct pipe *pipe = ctx;
	(void)request;
	tunnel_pause(pipe->net, pipe->conn, false);
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	struct pipe *pipe = ctx;
	(void)request;
	pipe->ends++;
	pipe->err = end->err;
	pipe->nobody = end->nobody;
	tunnel_end(pipe->net, pipe->conn);
}

static void on_request(void *ctx, const struct http_request *request)
{
	static const struct upstream_handlers handlers = {NULL, on_bytes, on_server_ready, on_end};
	struct pipe *pipe = ctx;
	char url[64];
	const struct upstream_request raw = {.url = url, .raw = true, .connect_time_ms = 9000};

	assert_true(request->websocket);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", pipe->origin.port);
	pipe->conn = request->conn;
	assert_int_equal(upstream_start(pipe->upstream, &raw, &handlers, pipe, &pipe->request), 0);
	assert_int_equal(http_accept_tunnel(pipe->net, pipe->conn, head, sizeof(head) - 1), 0);
	assert_int_equal(http_accept_tunnel(pipe->net, pipe->conn, head, sizeof(head) - 1),
			 -ERR_STATE);
}

static void on_body(void *ctx, uint64_t conn, const char *bytes, size_t length)
{
	struct pipe *pipe = ctx;
	if (!upstream_write(pipe->upstream, pipe->request, bytes, length))
		tunnel_pause(pipe->net, conn, true);
}

static void on_body_end(void *ctx, uint64_t conn)
{
	struct pipe *pipe = ctx;
	(void)conn;
	upstream_write_end(pipe->upstream, pipe->request);
}

static void on_client_ready(void *ctx, uint64_t conn)
{
	struct pipe *pipe = ctx;
	(void)conn;
	upstream_pause(pipe->upstream, pipe->request, false);
}

static void on_gone(void *ctx, uint64_t conn)
{
	struct pipe *pipe = ctx;
	(void)conn;
	pipe->gone++;
	upstream_cancel(pipe->upstream, pipe->request);
}

static void on_delivered(void *ctx, uint64_t conn)
{
	(void)ctx, (void)conn;
}

static int open_pipe(void **state)
{
	static const struct net_handlers handlers = {.on_request = on_request,
						     .on_gone = on_gone,
						     .on_delivered = on_delivered,
						     .on_body = on_body,
						     .on_body_end = on_body_end,
						     .on_writable = on_client_ready};
	/* Short: a tunnel has no such times. */
	const struct net_options options = {.connections_max = 16,
					    .header_time_ms = 9000,
					    .body_time_ms = TIMES_MS,
					    .write_time_ms = TIMES_MS,
					    .ping_time_ms = TIMES_MS};
	struct pipe *pipe = calloc(1, sizeof(*pipe));

	assert_non_null(pipe);
	pipe->fixture = fixture_open(NULL);
	pipe->origin = origin_open(pipe->fixture->loop);
	assert_int_equal(upstream_create(pipe->fixture->loop, 8, &pipe->upstream), 0);
	assert_int_equal(net_create(pipe->fixture->loop, &options, &handlers, pipe, &pipe->net), 0);
	assert_int_equal(net_listen_tcp(pipe->net, "127.0.0.1:0", &pipe->fixture->port, NULL, 0),
			 0);
	*state = pipe;
	return 0;
}

static int close_pipe(void **state)
{
	struct pipe *pipe = *state;

	client_close(pipe->client);
	if (pipe->visit)
		visit_leave(pipe->visit, false);
	net_destroy(pipe->net);
	upstream_destroy(pipe->upstream);
	origin_close(&pipe->origin);
	fixture_close(pipe->fixture);
	free(pipe);
	return 0;
}

/* What came behind the request is the first that the server reads. */
static void join(struct pipe *pipe, const char *early)
{
	char text[512];
	int little = 256 * 1024;

	pipe->client = client_open(pipe->fixture);
	(void)setsockopt(pipe->client->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	(void)snprintf(text, sizeof(text), "%s%s", request_text, early);
	client_send_text(pipe->client, text);
	pipe->visit = origin_accept(&pipe->origin);
	client_wait_text(pipe->fixture, pipe->client, "\r\n\r\n");
}

static char *long_text(void)
{
	char *bytes = malloc(LONG_BYTES);

	assert_non_null(bytes);
	for (size_t i = 0; i < LONG_BYTES; i++)
		bytes[i] = (char)('a' + i * 7 % 23);
	return bytes;
}

static void test_both_ways(void **state)
{
	struct pipe *pipe = *state;

	join(pipe, "early");
	visit_wait_text(pipe->visit, "early");
	visit_say(pipe->visit, "\x81\x02hi");
	client_wait_text(pipe->fixture, pipe->client, "\x81\x02hi");
	client_send_text(pipe->client, " and late");
	visit_wait_text(pipe->visit, "early and late");
}

/* The server writes all and ends; the client reads only then, longer than any time there is. */
static void test_server_ends_before_it_is_read(void **state)
{
	struct pipe *pipe = *state;
	char *bytes = long_text();

	join(pipe, "");
	pipe->client->mute = true;
	size_t sent = visit_flood(pipe->visit, bytes, LONG_BYTES, 200);
	for (struct mono_ms since = loop_now(); mono_since(loop_now(), since) < 4 * TIMES_MS;) {
		loop_wake_at(pipe->fixture->loop, mono_after(loop_now(), TIMES_MS));
		fixture_turn(pipe->fixture);
	}
	pipe->client->mute = false;
	while (sent < LONG_BYTES) {
		sent += visit_flood(pipe->visit, bytes + sent, LONG_BYTES - sent, 5);
		client_pump(pipe->fixture, pipe->client);
	}
	visit_leave(pipe->visit, false);
	pipe->visit = NULL;
	client_wait_end(pipe->fixture, pipe->client);
	assert_int_equal(pipe->client->length, sizeof(head) - 1 + LONG_BYTES);
	assert_memory_equal(pipe->client->in + sizeof(head) - 1, bytes, LONG_BYTES);
	assert_int_equal(pipe->err, 0);
	free(bytes);
}

/* The client's end behind what the server has not read yet: that comes first. */
static void test_client_ends_while_it_is_paused(void **state)
{
	struct pipe *pipe = *state;
	char *bytes = long_text();
	size_t sent = 0, more = 1;

	join(pipe, "");
	for (int still = 0; still < 20; still = more ? 0 : still + 1) {
		more = client_send_some(pipe->client, bytes, LONG_BYTES);
		sent += more;
		loop_wake_at(pipe->fixture->loop, loop_now());
		fixture_turn(pipe->fixture);
	}
	client_leave(pipe->client, false);
	pipe->client = NULL;
	visit_wait_end(pipe->visit);
	assert_int_equal(pipe->visit->total, sent);
	free(bytes);
}

static void test_resets(void **state)
{
	struct pipe *pipe = *state;

	join(pipe, "");
	visit_leave(pipe->visit, true);
	pipe->visit = NULL;
	client_wait_end(pipe->fixture, pipe->client);
	assert_int_equal(pipe->err, ERR_UPSTREAM_BROKEN);
	client_close(pipe->client);

	join(pipe, "");
	client_leave(pipe->client, true);
	pipe->client = NULL;
	visit_wait_end(pipe->visit);
	assert_int_equal(pipe->gone, 1);
}

static void test_nobody(void **state)
{
	struct pipe *pipe = *state;

	origin_close(&pipe->origin);
	pipe->client = client_open(pipe->fixture);
	client_send_text(pipe->client, request_text);
	client_wait_end(pipe->fixture, pipe->client);
	assert_int_equal(pipe->err, ERR_UPSTREAM_UNREACHABLE);
	assert_true(pipe->nobody);
	pipe->origin = origin_open(pipe->fixture->loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_ways, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(test_server_ends_before_it_is_read, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(test_client_ends_while_it_is_paused, open_pipe,
						close_pipe),
		cmocka_unit_test_setup_teardown(test_resets, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(test_nobody, open_pipe, close_pipe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
