/* Memory: the allocation that fails, for every one that the net makes on the way through HTTP,
 * streams, WebSocket and lines, costs at most that connection: no crash, no leak, and the next
 * client is served. malloc and its kin are wrapped by the linker; those of libevent are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "net/http_reply.h"
#include "net/listen.h"
#include "net/upstream.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);

/* Counts down while armed; the linker's wrapping leaves no other place for it. */
static struct {
	bool armed;
	int left;
	bool hit;
} fault;

static bool fails(void)
{
	if (!fault.armed || fault.left-- > 0)
		return false;
	fault.armed = false;
	fault.hit = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return fails() ? NULL : __real_reallocarray(old, count, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

#define WS                                                                                         \
	"GET /s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"              \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"         \
	"\x81\x85\x01\x02\x03\x04igohn"

/* Clients are made before the fault is armed, so that only the net's allocations fail. */
static void walk(struct fixture *fixture)
{
	static const char *const texts[] = {
		"GET /a HTTP/1.1\r\nHost: h\r\n",
		"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\n",
		WS,
		"BAD\r\n\r\n",
	};
	static char block[200 * 1024];
	struct client *clients[6];
	for (int i = 0; i < 5; i++)
		clients[i] = client_open(fixture);
	clients[5] = client_open_unix(fixture->line_path);
	fault.armed = true;
	fixture->mode = FIXTURE_ACCEPT;
	fixture->echo = true;
	for (int i = 0; i < 4; i++)
		client_send_text(clients[i], texts[i]);
	client_send_text(clients[5], "one\ntw");
	for (int i = 0; i < 6; i++)
		client_pump(fixture, clients[i]);
	client_send_text(clients[0], "\r\n");
	client_send_text(clients[5], "o\n");
	fixture->mode = FIXTURE_STREAM;
	clients[4]->mute = true;
	client_send_text(clients[4], "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
	for (int i = 0; i < 6; i++)
		client_pump(fixture, clients[i]);
	/* Until the kernel takes no more, however much that is, and then some. */
	for (int i = 0; i < 400 && http_stream_pending(fixture->net, fixture->conn) == 0; i++)
		http_stream_write(fixture->net, fixture->conn, block, sizeof(block));
	for (int i = 0; i < 8; i++)
		http_stream_write(fixture->net, fixture->conn, block, sizeof(block));
	for (int i = 0; i < 6; i++)
		client_pump(fixture, clients[i]);
	fault.armed = false;
	for (int i = 0; i < 6; i++)
		client_close(clients[i]);
}

/* Fails the first allocation, the second, .. until a walk has none left to fail. */
static void test_each_allocation(void **state)
{
	(void)state;
	int failed = 0;
	for (fault.hit = true; fault.hit; failed++) {
		struct fixture *fixture = fixture_open(NULL);
		fault.hit = false;
		fault.left = failed;
		walk(fixture);
		struct client *client = client_open(fixture);
		fixture->mode = FIXTURE_REPLY;
		client_send_text(client, "GET /after HTTP/1.1\r\nHost: h\r\n\r\n");
		client_wait_text(fixture, client, "/after");
		client_close(client);
		fixture_close(fixture);
	}
	assert_true(failed > 15); /* the walk does allocate */
}

/* The same for creating a net and listening. */
static void test_create(void **state)
{
	(void)state;
	const struct net_options options = {16, 2, 1000, 1000, 1000, 0, 0, 0};
	const struct net_handlers handlers = {0};
	bool made = false;
	for (int left = 0; !made; left++) {
		struct loop *loop = NULL;
		struct net *net = NULL;
		fault.left = left;
		fault.armed = true;
		made = loop_create(&loop) == 0 &&
		       net_create(loop, &options, &handlers, NULL, &net) == 0 &&
		       net_listen_tcp(net, "127.0.0.1:0", NULL, NULL, 0) == 0;
		made = made && fault.armed;
		fault.armed = false;
		net_destroy(net);
		loop_destroy(loop);
	}
}

static void on_head(void *ctx, uint64_t request, int status, struct http_field_iterator fields)
{
	(void)ctx, (void)request, (void)status, (void)fields;
}

static void on_body(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	(void)ctx, (void)request, (void)bytes, (void)length;
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	unsigned *ends = ctx;
	(void)request, (void)end;
	(*ends)++;
}

/* A request of ours: it is refused, or ends, and the next one is served. Only what is ours is made
 * to fail; libcurl has its own tests. */
static void test_upstream(void **state)
{
	static const struct upstream_handlers handlers = {on_head, on_body, NULL, on_end};
	static const struct http_header field = {"X-A", "b"};
	(void)state;
	int failed = 0;
	for (fault.hit = true; fault.hit; failed++) {
		struct fixture *fixture = fixture_open(NULL);
		struct upstream *upstream = NULL;
		unsigned ends = 0;
		uint64_t id;
		char url[64];
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/up", fixture->port);
		const struct upstream_request request = {.method = "POST",
							 .url = url,
							 .fields = &field,
							 .field_count = 1,
							 .body = "body",
							 .body_length = 4,
							 .first_byte_time_ms = 9000};
		fault.hit = false;
		fault.left = failed;
		fault.armed = true;
		bool began = upstream_create(fixture->loop, 4, &upstream) == 0 &&
			     upstream_start(upstream, &request, &handlers, &ends, &id) == 0;
		if (began)
			fixture_wait(fixture, &ends, 1);
		fault.armed = false;
		if (upstream) {
			ends = 0;
			assert_int_equal(upstream_count(upstream), 0);
			assert_int_equal(upstream_start(upstream, &request, &handlers, &ends, &id),
					 0);
			fixture_wait(fixture, &ends, 1);
		}
		upstream_destroy(upstream);
		fixture_close(fixture);
	}
	assert_true(failed > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_allocation),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_upstream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
