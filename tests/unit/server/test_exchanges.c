/* Goal: a lock, an unlock, a renewal and an operator's act become one event each and wait for their
 * effect; a grant that does not arrive is given back; a stream says each step and ends with the
 * last. Method: real bodies and effects over an empty core and a fake net. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "config/settings.h"
#include "core/core.h"
#include "core/send.h"
#include "fake_net.h"
#include "net/http.h"
#include "server/access/access_setup.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/http/exchanges.h"
#include "server/monitor/position_updates.h"
#include "server/queued_event.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "wire/http_decode.h"

enum { CONN = 7, LEASE = 12 };

static struct endpoints endpoints;
static struct broker broker;
static struct settings settings;
static struct wire_context wire;
static struct run_state state;
static struct access_setup access_setup;
static struct position_updates position_updates;
static struct exchanges exchanges = {&endpoints, &broker,       &wire,
				     &state,     &access_setup, &position_updates};
static struct http_request request;
static struct request_context context;
static struct queued_event *shown;
static const struct route lock_route = {.id = ROUTE_LOCK, .method = "POST"};
static const struct route unlock_route = {.id = ROUTE_UNLOCK, .method = "POST"};
static const struct route pause_route = {.id = ROUTE_PAUSE, .method = "POST"};

static int set_up(void **unused)
{
	(void)unused;
	fake_net_reset();
	endpoints_init(&endpoints, NULL);
	broker = (struct broker){.core = core_create(), .now = fake_net.now};
	event_queue_init(&broker.queue);
	settings_defaults(&settings);
	wire = (struct wire_context){.config = &settings.core};
	state = (struct run_state){.epoch = 3};
	access_setup.bridge = false;
	position_updates_init(&position_updates);
	exchanges_begin(&exchanges);
	request = (struct http_request){.conn = CONN, .method = "POST", .peer.uid = -1};
	context = (struct request_context){.request = &request,
					   .verdict = {.who.uid = -1, .match.route = &lock_route}};
	return 0;
}

static void drop_shown(void)
{
	if (shown)
		event_queue_drop(&broker.queue, shown);
	shown = NULL;
}

static int tear_down(void **unused)
{
	(void)unused;
	drop_shown();
	position_updates_finish(&position_updates);
	event_queue_finish(&broker.queue);
	core_destroy(broker.core);
	endpoints_finish(&endpoints);
	return 0;
}

/* The event that was queued, taken out of the queue; NULL: none. */
static const struct event *queued_event(void)
{
	drop_shown();
	shown = event_queue_shift(&broker.queue);
	return shown ? &shown->in.event : NULL;
}

static void set_body(const char *body)
{
	request.body = body;
	request.body_length = strlen(body);
}

static void lock(const char *body)
{
	set_body(body);
	route_lock(&exchanges, &context);
}

static void send(enum send_kind msg)
{
	const struct send_effect effect = {.msg = msg, .lease = LEASE, .fence = 1};
	endpoints_send(&endpoints, CONN, &effect);
}

static void test_a_lock_waits_for_its_effect(void **unused)
{
	(void)unused;
	lock("{\"id\":\"me\"}");

	const struct event *event = queued_event();
	assert_int_equal(event->type, EVENT_ACQUIRE);
	assert_int_equal(event->from.kind, PARTY_EXCHANGE);
	assert_int_equal(event->from.id, CONN);
	assert_string_equal(event->acquire.name, "me");
	assert_string_equal(event->acquire.principal, "token");
	assert_int_equal(event->acquire.binding, BIND_HTTP);
	assert_int_equal(endpoint_of(&endpoints, CONN)->kind, ENDPOINT_REQUEST);
	assert_int_equal(fake_net.replies, 0);
}

static void test_a_grant_is_kept_until_it_arrived(void **unused)
{
	(void)unused;
	lock("{\"id\":\"me\"}");
	send(SEND_GRANTED);
	assert_int_equal(fake_net.status, 200);
	assert_int_equal(endpoint_of(&endpoints, CONN)->kind, ENDPOINT_ANSWERED);
	endpoints_delivered(&endpoints, CONN);
	assert_null(endpoint_of(&endpoints, CONN));
}

static void test_a_grant_that_did_not_arrive_is_given_back(void **unused)
{
	(void)unused;
	lock("{\"id\":\"me\"}");
	assert_non_null(queued_event());
	send(SEND_GRANTED);
	endpoints_gone(&endpoints, CONN);

	const struct event *event = queued_event();
	assert_int_equal(event->type, EVENT_CONN_CLOSED);
	assert_true(event->closed.undelivered);
	assert_null(endpoint_of(&endpoints, CONN));
}

static void test_a_stream_says_each_step(void **unused)
{
	(void)unused;
	request.accept = "text/event-stream";
	lock("{\"id\":\"me\"}");
	assert_int_equal(queued_event()->acquire.binding, BIND_STREAM);
	assert_int_equal(endpoint_of(&endpoints, CONN)->kind, ENDPOINT_STREAM);

	send(SEND_GRANTED);
	assert_int_equal(fake_net.begins, 1);
	assert_non_null(strstr(fake_net.headers, "text/event-stream"));
	assert_non_null(strstr(fake_net.body, "event: granted"));
	send(SEND_REVOKED);
	assert_non_null(strstr(fake_net.body, "event: revoked"));
	assert_int_equal(fake_net.begins, 1);
	assert_int_equal(fake_net.ends, 1);
	assert_null(endpoint_of(&endpoints, CONN));
	assert_int_equal(queued_event()->type, EVENT_CONN_CLOSED);
}

static void test_a_stream_that_never_began_is_a_plain_answer(void **unused)
{
	const struct send_effect denied = {.msg = SEND_DENIED, .err = ERR_QUEUE_FULL};
	(void)unused;
	request.accept = "text/event-stream";
	lock("{\"id\":\"me\"}");
	endpoints_send(&endpoints, CONN, &denied);
	assert_int_equal(fake_net.begins, 0);
	assert_int_equal(fake_net.replies, 1);
	assert_non_null(strstr(fake_net.body, "queue_full"));
}

static void test_a_bad_body_asks_for_nothing(void **unused)
{
	(void)unused;
	lock("{\"id\":7}");
	assert_int_equal(fake_net.status, 400);
	assert_non_null(strstr(fake_net.body, "id"));
	assert_null(queued_event());
	assert_null(endpoint_of(&endpoints, CONN));
	assert_int_equal(broker.queue.unused_count, 1);
}

/* Waiting tabs of one browser use up the sockets it has for this host. */
static void test_a_browser_waits_a_few_times(void **unused)
{
	(void)unused;
	request.origin = "http://127.0.0.1:8470";
	request.user_agent = "tab";
	for (unsigned i = 0; i < LIMIT_WAITING_PER_BROWSER; i++) {
		request.conn = 100 + i;
		lock("{\"id\":\"me\"}");
	}
	assert_int_equal(fake_net.replies, 0);
	assert_int_equal(broker.queue.count, LIMIT_WAITING_PER_BROWSER);

	request.conn = CONN;
	lock("{\"id\":\"me\"}");
	assert_int_equal(fake_net.status, 429);
	assert_int_equal(broker.queue.count, LIMIT_WAITING_PER_BROWSER);
	assert_null(endpoint_of(&endpoints, CONN));
}

static void test_an_unlock_shows_the_token_of_its_lock(void **unused)
{
	(void)unused;
	context.verdict.match.route = &unlock_route;
	set_body("{\"id\":\"me\"}");
	route_unlock(&exchanges, &context);
	assert_int_equal(fake_net.status, 409);
	assert_null(queued_event());

	access_setup.bridge = true; /* as the predecessor did it */
	route_unlock(&exchanges, &context);
	assert_int_equal(queued_event()->type, EVENT_RELEASE);
}

static void test_an_operator_is_named_in_the_event(void **unused)
{
	(void)unused;
	request.peer = (struct net_peer){.is_unix = true, .uid = 1000, .pid = 4242};
	context.verdict.match.route = &pause_route;
	set_body("{\"reason\":\"fan\"}");
	route_admin(&exchanges, &context);

	const struct event *event = queued_event();
	assert_int_equal(event->type, EVENT_ADMIN);
	assert_int_equal(event->admin.act, ADMIN_PAUSE);
	assert_string_equal(event->admin.who, "uid=1000 pid=4242");
}

static void test_a_stop_answers_all_that_wait(void **unused)
{
	(void)unused;
	lock("{\"id\":\"me\"}");
	state.draining = true;
	endpoints_drain(&endpoints);
	assert_int_equal(fake_net.status, 503);
	assert_null(endpoint_of(&endpoints, CONN));
	lock("{\"id\":\"me\"}");
	assert_non_null(strstr(fake_net.body, "draining"));
	assert_null(endpoint_of(&endpoints, CONN));
}

int main(void)
{
#define EXCHANGE_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		EXCHANGE_TEST(test_a_lock_waits_for_its_effect),
		EXCHANGE_TEST(test_a_grant_is_kept_until_it_arrived),
		EXCHANGE_TEST(test_a_grant_that_did_not_arrive_is_given_back),
		EXCHANGE_TEST(test_a_stream_says_each_step),
		EXCHANGE_TEST(test_a_stream_that_never_began_is_a_plain_answer),
		EXCHANGE_TEST(test_a_bad_body_asks_for_nothing),
		EXCHANGE_TEST(test_a_browser_waits_a_few_times),
		EXCHANGE_TEST(test_an_unlock_shows_the_token_of_its_lock),
		EXCHANGE_TEST(test_an_operator_is_named_in_the_event),
		EXCHANGE_TEST(test_a_stop_answers_all_that_wait),
	};
#undef EXCHANGE_TEST
	return cmocka_run_group_tests_name("server-exchanges", tests, NULL, NULL);
}
