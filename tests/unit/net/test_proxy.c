/* What the HTTP server and client are for: a proxy of a few lines between a client and a server,
 * bodies in pieces both ways. A side that is slow slows the other, a side that leaves or breaks off
 * ends the other, and between them little is kept. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "fixture.h"
#include "net/http_receive.h"
#include "net/http_reply.h"
#include "net/listen.h"
#include "net/upstream.h"
#include "origin.h"

enum { LONG_BYTES = 4 * 1024 * 1024, BOUND_BYTES = 1024 * 1024 };

/* One exchange at a time. */
struct proxy {
	struct net *net;
	struct upstream *upstream;
	char url[64];
	uint64_t conn, request;
	bool answered;
	int err;
	unsigned ends, gone;
};

static void on_answer(void *ctx, uint64_t request, int status, struct http_field_iterator fields)
{
	struct proxy *proxy = ctx;
	(void)request, (void)fields;
	proxy->answered = true;
	http_stream_begin(proxy->net, proxy->conn, status, NULL, 0);
}

static void on_answer_body(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	struct proxy *proxy = ctx;
	if (!http_stream_write(proxy->net, proxy->conn, bytes, length))
		upstream_pause(proxy->upstream, request, true);
}

static void on_server_ready(void *ctx, uint64_t request)
{
	struct proxy *proxy = ctx;
	(void)request;
	http_pause_body(proxy->net, proxy->conn, false);
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	struct proxy *proxy = ctx;
	(void)request;
	proxy->ends++;
	proxy->err = end->err;
	if (!end->err)
		http_stream_end(proxy->net, proxy->conn);
	else if (proxy->answered)
		http_stream_abort(proxy->net, proxy->conn);
	else
		http_reply(proxy->net, proxy->conn, err_http_status(end->err), NULL, 0, "", 0);
}

static void on_head(void *ctx, const struct http_request *request, struct http_body_rule *rule)
{
	(void)ctx, (void)request;
	*rule = (struct http_body_rule){.streamed = true, .bytes_max = 64 * 1024 * 1024};
}

static void on_request(void *ctx, const struct http_request *request)
{
	static const struct upstream_handlers handlers = {on_answer, on_answer_body,
							  on_server_ready, on_end};
	struct proxy *proxy = ctx;
	const struct upstream_request forward = {.method = request->method,
						 .url = proxy->url,
						 .streamed = request->streamed,
						 .body_bytes = request->body_bytes,
						 .connect_time_ms = 9000,
						 .first_byte_time_ms = 9000,
						 .idle_time_ms = 9000};
	proxy->conn = request->conn;
	proxy->answered = false;
	assert_int_equal(
		upstream_start(proxy->upstream, &forward, &handlers, proxy, &proxy->request), 0);
}

static void on_body(void *ctx, uint64_t conn, const char *bytes, size_t length)
{
	struct proxy *proxy = ctx;
	if (!upstream_write(proxy->upstream, proxy->request, bytes, length))
		http_pause_body(proxy->net, conn, true);
}

static void on_body_end(void *ctx, uint64_t conn)
{
	struct proxy *proxy = ctx;
	(void)conn;
	upstream_write_end(proxy->upstream, proxy->request);
}

static void on_client_ready(void *ctx, uint64_t conn)
{
	struct proxy *proxy = ctx;
	(void)conn;
	upstream_pause(proxy->upstream, proxy->request, false);
}

static void on_gone(void *ctx, uint64_t conn)
{
	struct proxy *proxy = ctx;
	(void)conn;
	proxy->gone++;
	upstream_cancel(proxy->upstream, proxy->request);
}

static void on_delivered(void *ctx, uint64_t conn)
{
	(void)ctx, (void)conn;
}

/* Before the fixture's server, or another port; clients of the fixture then reach the proxy. */
static void proxy_open(struct proxy *proxy, struct fixture *fixture, uint16_t port)
{
	static const struct net_handlers handlers = {.on_request = on_request,
						     .on_gone = on_gone,
						     .on_delivered = on_delivered,
						     .on_head = on_head,
						     .on_body = on_body,
						     .on_body_end = on_body_end,
						     .on_writable = on_client_ready};
	const struct net_options options = {.connections_max = 16,
					    .header_time_ms = 9000,
					    .body_time_ms = 9000,
					    .write_time_ms = 9000};
	*proxy = (struct proxy){0};
	(void)snprintf(proxy->url, sizeof(proxy->url), "http://127.0.0.1:%u/up", port);
	assert_int_equal(upstream_create(fixture->loop, 8, &proxy->upstream), 0);
	assert_int_equal(net_create(fixture->loop, &options, &handlers, proxy, &proxy->net), 0);
	assert_int_equal(net_listen_tcp(proxy->net, "127.0.0.1:0", &fixture->port, NULL, 0), 0);
}

static void proxy_close(struct proxy *proxy, struct fixture *fixture)
{
	net_destroy(proxy->net);
	upstream_destroy(proxy->upstream);
	fixture_close(fixture);
}

static struct fixture *open_echo(void)
{
	struct fixture *fixture = fixture_open(NULL);
	fixture->mode = FIXTURE_ECHO;
	fixture->rule = (struct http_body_rule){.streamed = true, .bytes_max = 64 * 1024 * 1024};
	return fixture;
}

/* Through the proxy and back, to a client that reads late: everything waits for it, nothing is
 * lost, little is kept. */
static void test_echo(void **state)
{
	(void)state;
	struct fixture *fixture = open_echo();
	struct proxy proxy;
	proxy_open(&proxy, fixture, fixture->port);
	struct client *client = client_open(fixture);
	char *bytes = malloc(LONG_BYTES), head[128];
	assert_non_null(bytes);
	for (size_t i = 0; i < LONG_BYTES; i++)
		bytes[i] = (char)('a' + i * 7 % 23);
	(void)snprintf(head, sizeof(head),
		       "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", LONG_BYTES);
	client->mute = true;
	client_send_text(client, head);
	fixture_wait(fixture, &fixture->requests, 1);
	assert_int_equal(fixture->body_bytes, LONG_BYTES);
	size_t sent = 0, before = mallinfo2().uordblks;
	for (int still = 0; still < 50 && sent < LONG_BYTES; still++) {
		size_t n = client_send_some(client, bytes + sent, LONG_BYTES - sent);
		sent += n;
		still = n ? 0 : still;
		fixture_turn(fixture);
		assert_true(mallinfo2().uordblks < before + BOUND_BYTES);
	}
	client->mute = false;
	assert_true(client_send_all(fixture, client, bytes + sent, LONG_BYTES - sent));
	client_wait_text(fixture, client, "\r\n0\r\n\r\n");
	fixture_wait(fixture, &proxy.ends, 1);
	assert_int_equal(proxy.err, 0);
	assert_int_equal(fixture->streamed_bytes, LONG_BYTES);
	assert_int_equal(fixture->streamed_sum, fixture_sum(0, bytes, LONG_BYTES));
	assert_true(client->length > LONG_BYTES);
	client_close(client);
	free(bytes);
	proxy_close(&proxy, fixture);
}

/* A client that leaves ends the work behind the proxy. */
static void test_client_leaves(void **state)
{
	(void)state;
	for (int reset = 0; reset < 2; reset++) {
		struct fixture *fixture = open_echo();
		struct proxy proxy;
		proxy_open(&proxy, fixture, fixture->port);
		struct client *client = client_open(fixture);
		client_send_text(client, "POST /up HTTP/1.1\r\nHost: h\r\n"
					 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
		client_wait_text(fixture, client, "abc");
		client_leave(client, reset);
		fixture_wait(fixture, &fixture->gone, 1);
		assert_int_equal(proxy.gone, 1);
		assert_int_equal(proxy.ends, 0);
		assert_int_equal(upstream_count(proxy.upstream), 0);
		proxy_close(&proxy, fixture);
	}
}

/* A server that breaks off before its head is 502; behind it, the client's answer is cut, not
 * ended; one that is not there is 502, too. */
static void test_server_breaks_off(void **state)
{
	static const char *const said[] = {
		"HTTP/1.1 200 OK\r\nCont",
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
	};
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct fixture *fixture = fixture_open(NULL);
		struct proxy proxy;
		struct origin origin = origin_open(fixture->loop);
		proxy_open(&proxy, fixture, origin.port);
		struct client *client = client_open(fixture);
		if (i == 2)
			origin_close(&origin);
		client_send_text(client, "GET /up HTTP/1.1\r\nHost: h\r\n\r\n");
		if (i < 2) {
			struct visit *visit = origin_accept(&origin);
			visit_wait_text(visit, "\r\n\r\n");
			visit_say(visit, said[i]);
			if (i == 1)
				client_wait_text(fixture, client, "hello");
			visit_leave(visit, true);
			origin_close(&origin);
		}
		if (i == 1)
			client_wait_end(fixture, client);
		else
			client_wait_text(fixture, client, "HTTP/1.1 502 ");
		assert_null(strstr(client->in, "\r\n0\r\n\r\n"));
		assert_int_equal(proxy.ends, 1);
		assert_int_equal(proxy.gone, 0);
		client_close(client);
		proxy_close(&proxy, fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_client_leaves),
		cmocka_unit_test(test_server_breaks_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
