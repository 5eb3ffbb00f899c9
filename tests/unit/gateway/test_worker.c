/* Goal: a worker's limits of time and size hold, and what must not reach a client does not: one
 * that is silent, that does not stop, that sends past its window or takes more than it got. Method:
 * the real workers and catalog, a clock by hand, and a net that only notes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "gateway/bridge_worker.h"
#include "gateway/call.h"
#include "gateway/catalog.h"
#include "gateway/model.h"
#include "gateway/residence.h"
#include "gateway/worker.h"
#include "http/field.h"
#include "json/json_writer.h"
#include "net/loop.h"
#include "net/session.h"
#include "net/upstream.h"
#include "wire/worker_decode.h"
#include "wire/worker_encode.h"

enum { CONN = 5, STOP_MS = 90 * 1000 };

static struct {
	struct mono_ms now;
	struct catalog catalog;
	struct workers workers;
	char last[512], closed[64];
	unsigned pings, changes, leaves;
	struct {
		int heads, bodies, ends, writables;
		int status, err;
		size_t bytes;
	} got;
} scene;

/* ---- what workers borrow ---- */

struct mono_ms loop_now(void)
{
	return scene.now;
}

void net_session_send(struct net *net, uint64_t conn, const char *text, size_t length)
{
	(void)net, (void)conn;
	snprintf(scene.last, sizeof(scene.last), "%.*s", (int)length, text);
	scene.pings += strstr(scene.last, "\"ping\"}") != NULL;
}

void net_session_send_bytes(struct net *net, uint64_t conn, uint64_t number, const char *bytes,
			    size_t length)
{
	(void)net, (void)conn, (void)number, (void)bytes, (void)length;
}

void net_session_rate(struct net *net, uint64_t conn, unsigned messages_per_s)
{
	(void)net, (void)conn;
	assert_true(messages_per_s > 0);
}

void net_session_close(struct net *net, uint64_t conn, int code, const char *reason)
{
	(void)net;
	assert_int_equal(conn, CONN);
	assert_int_equal(code, 1008);
	snprintf(scene.closed, sizeof(scene.closed), "%s", reason);
}

void residence_server_gone(const struct model_server *server, struct mono_ms now)
{
	(void)server, (void)now;
}

void residence_listed(const struct model_server *server, struct mono_ms now)
{
	(void)server;
	(void)now;
}

int call_start(struct upstream *upstream, const struct call_question *question, call_done *done,
	       void *ctx, struct call **ret_call)
{
	(void)upstream, (void)question, (void)done, (void)ctx, (void)ret_call;
	fail();
	return 0;
}

void call_cancel(struct call *call)
{
	assert_null(call);
}

/* ---- who asks ---- */

static void on_head(void *ctx, uint64_t request, int status, struct http_field_iterator fields)
{
	struct http_field field;
	(void)ctx, (void)request;

	assert_true(http_field_next(&fields, &field) && http_field_is(&field, "content-type"));
	scene.got.heads++;
	scene.got.status = status;
}

static void on_body(void *ctx, uint64_t request, const char *bytes, size_t length)
{
	(void)ctx, (void)request, (void)bytes;
	scene.got.bodies++;
	scene.got.bytes += length;
}

static void on_writable(void *ctx, uint64_t request)
{
	(void)ctx, (void)request;
	scene.got.writables++;
}

static void on_end(void *ctx, uint64_t request, const struct upstream_end *end)
{
	(void)ctx, (void)request;
	scene.got.ends++;
	scene.got.err = end->err;
}

static const struct upstream_handlers handlers = {on_head, on_body, on_writable, on_end};

static void on_change(void *ctx)
{
	(void)ctx;
	scene.changes++;
}

static void on_leave(void *ctx, const struct model_server *server)
{
	(void)ctx, (void)server;
	scene.leaves++;
}

static void say(const char *text)
{
	worker_say(&scene.workers, CONN, text, strlen(text));
}

static struct model *find(void)
{
	return catalog_find(&scene.catalog, &(struct catalog_wish){.name = "m"});
}

static uint64_t ask(void)
{
	struct worker_request request = {
		.path = "/", .model = "m", .client = "c", .content_type = "application/json"};

	return worker_start(find()->server->worker, &request, &handlers, NULL);
}

static void pass_time(int64_t ms)
{
	scene.now = mono_after(scene.now, ms);
	workers_tick(&scene.workers, scene.now);
}

static void say_piece(uint64_t request, size_t length)
{
	cleanup_text struct text text = {0};

	text_format(&text, "{\"type\":\"piece\",\"request\":%d,\"text\":\"", (int)request);
	for (size_t i = 0; i < length; i++)
		text_char(&text, 'x');
	text_str(&text, "\"}");
	worker_say(&scene.workers, CONN, text.bytes, text.length);
}

static void set_up_workers(void)
{
	memset(&scene, 0, sizeof(scene));
	scene.now.v = 1000;
	catalog_init(&scene.catalog, NULL, on_change, NULL);
	scene.workers = (struct workers){.catalog = &scene.catalog,
					 .stop_ms_max = STOP_MS,
					 .on_change = on_change,
					 .on_leave = on_leave};
	workers_init(&scene.workers);
}

static int set_up(void **state)
{
	static const char hello[] =
		"{\"type\":\"hello\",\"id\":\"a b\",\"models\":"
		"[{\"id\":\"m\",\"paths\":[\"/v1/chat/completions\"],\"vram_mb\":3}]}";
	struct worker_message message;
	(void)state;

	set_up_workers();
	assert_int_equal(worker_decode(hello, strlen(hello), &message), 0);
	assert_int_equal(worker_open(&scene.workers, CONN, NULL, &message), 0);
	worker_message_finish(&message);
	assert_string_equal(find()->server->name, "tab:a-b");
	assert_int_equal(model_vram_bytes(find()), 3 << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	workers_finish(&scene.workers);
	catalog_finish(&scene.catalog);
	return 0;
}

/* Silence is told from work by any message; four pings without one are too many. */
static void test_silence(void **state)
{
	(void)state;
	ask();
	for (int i = 0; i < 3; i++)
		pass_time(WORKER_PING_MS);
	assert_int_equal(scene.pings, 3);
	say("{\"type\":\"pong\"}");
	for (int i = 0; i < 4; i++)
		pass_time(WORKER_PING_MS);
	assert_string_equal(scene.closed, "");
	assert_int_equal(scene.workers.count, 1);

	pass_time(WORKER_PING_MS);
	assert_string_equal(scene.closed, "it does not answer");
	assert_int_equal(scene.workers.count, 0);
	assert_null(find());
	assert_int_equal(scene.got.ends, 1);
	assert_int_equal(scene.got.err, ERR_UPSTREAM_UNREACHABLE);
	assert_int_equal(scene.leaves, 1);
}

/* The machine slept: nobody could answer meanwhile. */
static void test_sleep_is_no_silence(void **state)
{
	(void)state;
	pass_time(24 * 3600 * 1000);
	assert_string_equal(scene.closed, "");
	assert_int_equal(scene.pings, 1);
}

/* What is cancelled keeps its place until it stopped, and is given up with all of it at last. */
static void test_cancelled(void **state)
{
	uint64_t request = ask();
	(void)state;

	worker_cancel(find()->server->worker, request);
	assert_string_equal(scene.last, "{\"type\":\"cancel\",\"request\":1}");
	assert_false(server_has_room(find()->server));
	say("{\"type\":\"head\",\"request\":1}");
	say_piece(request, 100);
	assert_int_equal(scene.got.heads + scene.got.bodies + scene.got.ends, 0);

	say("{\"type\":\"end\",\"request\":1}");
	assert_true(server_has_room(find()->server));
	assert_int_equal(scene.got.ends, 0);

	request = ask();
	worker_cancel(find()->server->worker, request);
	for (int64_t ms = 0; ms < STOP_MS - WORKER_PING_MS; ms += WORKER_PING_MS) {
		pass_time(WORKER_PING_MS);
		say("{\"type\":\"pong\"}");
	}
	assert_string_equal(scene.closed, "");
	pass_time(WORKER_PING_MS);
	assert_string_equal(scene.closed, "it did not stop what was cancelled");
	assert_int_equal(scene.got.ends, 0);
}

/* More goes back as the client reads, and no more than the window is ever on its way. */
static void test_window(void **state)
{
	uint64_t request = ask();
	struct worker *worker = find()->server->worker;
	(void)state;

	say("{\"type\":\"head\",\"request\":1,\"content_type\":\"text/event-stream\"}");
	for (int i = 0; i < 100; i++)
		say_piece(request, 32 * 1024);
	assert_string_equal(scene.last, "{\"type\":\"more\",\"request\":1,\"bytes\":65536}");
	assert_int_equal(scene.got.bytes, 100 * 32 * 1024);

	worker_pause(worker, request, true);
	scene.last[0] = '\0';
	for (int i = 0; i < 8; i++)
		say_piece(request, 32 * 1024);
	assert_string_equal(scene.last, "");
	assert_string_equal(scene.closed, "");
	worker_pause(worker, request, false);
	assert_string_equal(scene.last, "{\"type\":\"more\",\"request\":1,\"bytes\":262144}");

	worker_pause(worker, request, true);
	for (int i = 0; i < 8; i++)
		say_piece(request, 32 * 1024);
	say_piece(request, 1);
	assert_string_equal(scene.closed, "more of an answer than its window takes");
	assert_int_equal(scene.got.bytes, 116 * 32 * 1024);
	assert_int_equal(scene.got.ends, 1);
}

/* A body waits until what was sent is taken; nobody takes more than there was. */
static void test_body(void **state)
{
	static const char bytes[64 * 1024];
	uint64_t request = ask();
	struct worker *worker = find()->server->worker;
	unsigned sent = 1;
	(void)state;

	while (worker_write(worker, request, bytes, sizeof(bytes)))
		sent++;
	assert_int_equal(sent, 8);
	say("{\"type\":\"took\",\"bytes\":65536}");
	assert_int_equal(scene.got.writables, 1);
	say("{\"type\":\"took\",\"bytes\":458752}");
	assert_string_equal(scene.closed, "");
	say("{\"type\":\"took\",\"bytes\":1}");
	assert_string_equal(scene.closed, "it took more than it was sent");
}

/* The limit is that of all its requests' bodies together. */
static void test_bodies_together(void **state)
{
	static const char bytes[64 * 1024];
	uint64_t one = ask(), two = ask();
	struct worker *worker = find()->server->worker;
	(void)state;

	assert_int_equal(worker_room(worker, two), 512 * 1024);
	while (worker_write(worker, one, bytes, sizeof(bytes)))
		continue;
	assert_int_equal(worker_room(worker, two), 0);
	say("{\"type\":\"took\",\"bytes\":1000}");
	assert_int_equal(scene.got.writables, 2);
	assert_int_equal(worker_room(worker, one), 1000);
	assert_int_equal(worker_room(worker, two), 1000);
	assert_true(worker_write(worker, two, bytes, 999));
	assert_false(worker_write(worker, two, bytes, 1));
}

/* Of its errors a client hears those that are a worker's to give. */
static void test_errors(void **state)
{
	static const struct {
		const char *code; /* NULL: none, and no head before */
		int err;
	} rows[] = {
		{"outranked", ERR_OUTRANKED},          {"draining", ERR_UPSTREAM_UNREACHABLE},
		{"bad_field", ERR_BAD_FIELD},          {"unauthorized", ERR_UPSTREAM_BROKEN},
		{"no such code", ERR_UPSTREAM_BROKEN}, {NULL, ERR_UPSTREAM_BROKEN},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_text struct text text = {0};

		text_str(&text, "{\"type\":\"end\"");
		text_json_u64(&text, "request", ask());
		if (rows[i].code)
			text_json_str(&text, "code", rows[i].code);
		text_char(&text, '}');
		say(text.bytes);
		assert_int_equal(scene.got.err, rows[i].err);
		assert_int_equal(scene.got.ends, i + 1);
	}
	assert_string_equal(scene.closed, "");
}

/* A model that is taken back stays until what runs there is done. */
static void test_model_taken_back(void **state)
{
	struct model *model = find();
	uint64_t request = ask();
	(void)state;

	model->running++;
	say("{\"type\":\"models\",\"models\":[]}");
	assert_null(find());
	assert_int_equal(model->server->running, 1);
	say("{\"type\":\"head\",\"request\":1}");
	say_piece(request, 5);
	assert_int_equal(scene.got.bytes, 5);
	model->running--;
	say("{\"type\":\"models\",\"models\":[]}");
	assert_null(find());
}

/* One that speaks as the predecessor's tabs did. */
static int set_up_bridge(void **state)
{
	(void)state;
	set_up_workers();
	assert_int_equal(worker_open_bridge(&scene.workers, CONN, NULL, false, "m", 2), 0);
	assert_true(find()->server->takes_turns);
	assert_int_equal(find()->gpus, 2);
	return 0;
}

static struct worker *ask_bridge(bool streams, uint64_t *ret_request)
{
	struct worker *worker = find()->server->worker;
	struct worker_request request = {.path = "/",
					 .model = "m",
					 .client = "c",
					 .content_type = "application/json",
					 .streams = streams};

	*ret_request = worker_start(worker, &request, &handlers, NULL);
	assert_true(worker_write(worker, *ret_request, "{\"model\":\"m\",", 13));
	assert_true(worker_write(worker, *ret_request, "\"n\":1}", 6));
	worker_write_end(worker, *ret_request);
	return worker;
}

/* It says nothing of what it does not know: its place is free when it is done, or is not heard of
 * for long. It is not turned away, and never pinged. */
static void test_bridge_that_cannot_stop(void **state)
{
	uint64_t request;
	struct worker *worker = ask_bridge(true, &request);
	(void)state;

	assert_string_equal(scene.last,
			    "{\"id\":\"1\",\"type\":\"chat\",\"data\":{\"model\":\"m\",\"n\":1}}");
	worker_cancel(worker, request);
	assert_string_equal(scene.last, "{\"id\":\"1\",\"type\":\"cancel\"}");
	pass_time(STOP_MS - 1);
	say("{\"id\":\"1\",\"chunk\":{\"choices\":[]}}");
	pass_time(STOP_MS - 1);
	assert_false(server_has_room(find()->server));
	pass_time(1);
	assert_true(server_has_room(find()->server));
	say("{\"id\":\"1\",\"done\":true}");

	ask_bridge(true, &request);
	worker_cancel(worker, request);
	say("{\"id\":\"2\",\"error\":\"x\"}");
	assert_true(server_has_room(find()->server));
	assert_string_equal(scene.closed, "");
	assert_int_equal(scene.got.heads + scene.got.bodies + scene.got.ends + scene.pings, 0);
}

static void say_chunk(uint64_t request, size_t length)
{
	cleanup_text struct text text = {0};

	text_format(&text, "{\"id\":\"%d\",\"chunk\":{\"choices\":[{\"delta\":{\"content\":\"",
		    (int)request);
	for (size_t i = 0; i < length; i++)
		text_char(&text, 'x');
	text_str(&text, "\"}}]}}");
	worker_say(&scene.workers, CONN, text.bytes, text.length);
}

/* Nobody makes the broker keep more of an answer than a bound, however fast it comes. */
static void test_bridge_floods(void **state)
{
	uint64_t request;
	struct worker *worker = ask_bridge(true, &request);
	(void)state;

	for (int i = 0; i < 40; i++)
		say_chunk(request, 60000);
	assert_int_equal(scene.got.bodies, 40); /* its client reads */
	worker_pause(worker, request, true);
	for (int i = 0; i < 40; i++)
		say_chunk(request, 60000);
	assert_int_equal(scene.got.bodies, 57);
	assert_int_equal(scene.got.err, ERR_UPSTREAM_BROKEN);
	assert_false(server_has_room(find()->server));
	say("{\"id\":\"1\",\"done\":true}");
	assert_true(server_has_room(find()->server));

	ask_bridge(false, &request);
	for (int i = 0; i < 40; i++)
		say_chunk(request, 60000);
	assert_int_equal(scene.got.ends, 2);
	assert_int_equal(scene.got.bodies, 57);
	assert_string_equal(scene.closed, "");
}

/* Who asked hears of what cannot be asked, but not while it asks. */
static void test_bridge_bodies(void **state)
{
	static const char bytes[64 * 1024];
	struct worker *worker = find()->server->worker;
	struct worker_request request = {
		.path = "/", .model = "m", .client = "c", .content_type = "application/json"};
	(void)state;

	for (int i = 0; i < 2; i++) {
		worker_start(worker, &request, &handlers, NULL);
		for (int piece = 0; piece < (i ? 9 : 1); piece++)
			assert_true(worker_write(worker, request.request, bytes, sizeof(bytes)));
		worker_write_end(worker, request.request);
		assert_string_equal(scene.last, "");
		assert_int_equal(scene.got.ends, i);
		assert_int_equal(workers_next(&scene.workers).v, scene.now.v);
		pass_time(0);
		assert_int_equal(scene.got.ends, i + 1);
		assert_int_equal(scene.got.err, i ? ERR_TOO_LARGE : ERR_BAD_JSON);
	}
	assert_true(server_has_room(find()->server));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sleep_is_no_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancelled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_window, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_body, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bodies_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_model_taken_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bridge_that_cannot_stop, set_up_bridge,
						tear_down),
		cmocka_unit_test_setup_teardown(test_bridge_floods, set_up_bridge, tear_down),
		cmocka_unit_test_setup_teardown(test_bridge_bodies, set_up_bridge, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
