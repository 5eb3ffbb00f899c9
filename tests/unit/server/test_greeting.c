/* Goal: a session is opened by those who may, with what the kernel or access knows of them, and by
 * nobody else; and whoever says nothing does not stay. Method: real messages into the session room
 * over a fake net; what it decides is the event it queues, or a close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "net/http.h"
#include "server/respond.h"
#include "server/session/session_list.h"
#include "session_fixture.h"
#include "wire/session_decode.h"

enum { CONN = 7, OTHER = 8 };
#define HELLO             "{\"type\":\"hello\",\"version\":1,\"id\":\"me\"}"
#define HELLO_WITH(token) "{\"type\":\"hello\",\"version\":1,\"id\":\"me\",\"token\":\"" token "\"}"
#define RESUME                                                                                     \
	"{\"type\":\"hello\",\"version\":1,\"id\":\"me\",\"resume\":"                              \
	"\"31-0123456789abcdef0123456789abcdef\"}"

static const char *const app = "https://app.example";

static void assert_turned_away(uint64_t conn, const char *error, int code)
{
	assert_int_equal(fake_net.closes, 1);
	assert_int_equal(fake_net.close_code, code);
	assert_non_null(strstr(fake_net.body, error));
	assert_int_equal(endpoint_of(&fixture.endpoints, conn)->kind, ENDPOINT_LEAVING);
	assert_null(fixture_event());
}

static void test_the_kernel_says_who_is_on_the_socket(void **state)
{
	(void)state;
	fixture_connect(CONN, FIXTURE_UID);
	fixture_say(CONN, HELLO);

	const struct event *event = fixture_event();
	assert_int_equal(event->type, EVENT_SESSION_OPEN);
	assert_int_equal(event->from.id, CONN);
	assert_string_equal(event->session.name, "me");
	assert_string_equal(event->session.principal, "uid:1000");
	assert_int_equal(event->session.binding, BIND_NATIVE);
	assert_int_equal(event->session.pid, 4242);
	assert_int_equal(event->session.pid_start, 99);
	assert_true(event->session.or_new);
	assert_int_equal(endpoint_of(&fixture.endpoints, CONN)->session->rights, ACCESS_ADMIN);
}

static void test_another_user_is_refused_and_logged(void **state)
{
	(void)state;
	fixture_connect(CONN, FIXTURE_UID + 1);
	assert_turned_away(CONN, "forbidden", CLOSE_TOKEN);
	assert_int_equal(fixture.lines.next, 2);

	fixture_say(CONN, HELLO); /* not heard any more */
	assert_null(fixture_event());
}

static void test_nobody_comes_in_while_the_broker_stops(void **state)
{
	(void)state;
	fixture.state.draining = true;
	fixture_connect(CONN, FIXTURE_UID);
	assert_turned_away(CONN, "draining", CLOSE_DRAINING);
}

static void test_a_page_shows_a_token(void **state)
{
	(void)state;
	fixture_connect_page(CONN, ACCESS_NONE, NULL, false);
	assert_int_equal(fake_net.upgrades, 1);
	fixture_say(CONN, HELLO_WITH(FIXTURE_TOKEN));

	const struct event *event = fixture_event();
	assert_int_equal(event->session.binding, BIND_TAB);
	assert_int_equal(event->session.pid, 0);
	assert_int_equal(endpoint_of(&fixture.endpoints, CONN)->session->rights, ACCESS_TOKEN);
}

static void test_a_wrong_token_opens_nothing_and_is_counted(void **state)
{
	(void)state;
	for (uint64_t conn = 100; conn < 120; conn++) {
		fixture_connect_page(conn, ACCESS_NONE, NULL, false);
		fixture_say(conn, HELLO_WITH("wrong"));
		assert_non_null(strstr(fake_net.body, "unauthorized"));
	}
	fixture_connect_page(CONN, ACCESS_NONE, NULL, false);
	fixture_say(CONN, HELLO_WITH("wrong"));
	assert_non_null(strstr(fake_net.body, "rate_limited"));
	assert_null(fixture_event());
}

/* A session's secret alone resumes that session and makes no new one. */
static void test_a_secret_is_for_the_core_to_judge(void **state)
{
	(void)state;
	fixture_connect_page(CONN, ACCESS_NONE, NULL, false);
	fixture_say(CONN, RESUME);

	const struct event *event = fixture_event();
	assert_int_equal(event->type, EVENT_SESSION_OPEN);
	assert_non_null(event->session.resume);
	assert_false(event->session.or_new);
	assert_int_equal(endpoint_of(&fixture.endpoints, CONN)->session->rights, ACCESS_NONE);
}

/* Where nothing but the operator's word for a site lets a page in, its own token counts alone. */
static void test_a_site_has_its_own_token(void **state)
{
	static const uint8_t noise[32] = {1};
	const struct site_ask *asked;
	int64_t wait_ms;
	int err;
	(void)state;
	assert_int_equal(sites_ask(&fixture.sites, app, noise, fake_net.now, &asked, &wait_ms), 0);
	assert_non_null(sites_allow(&fixture.sites, asked->id, noise, fake_net.now,
				    fixture.broker.wall, &err));
	fixture.sites.v[0].kept = fixture.broker.wall; /* nothing is due to be written */

	fixture_connect_page(CONN, ACCESS_NONE, app, true);
	fixture_say(CONN, HELLO_WITH(FIXTURE_TOKEN));
	assert_turned_away(CONN, "unauthorized", CLOSE_TOKEN);

	char hello[256];
	snprintf(hello, sizeof hello,
		 "{\"type\":\"hello\",\"version\":1,\"id\":\"me\",\"token\":\"%s\"}", asked->token);
	fixture_connect_page(OTHER, ACCESS_NONE, app, true);
	fixture_say(OTHER, hello);
	assert_int_equal(fixture_event()->type, EVENT_SESSION_OPEN);
	const struct endpoint_session *session = endpoint_of(&fixture.endpoints, OTHER)->session;
	assert_int_equal(session->rights, ACCESS_QUEUE);
	assert_int_equal(session->site, fixture.sites.v[0].id);
	assert_int_equal(sessions_of_site(&fixture.endpoints, session->site), 1);

	fake_net.closes = 0;
	sessions_end_site(&fixture.endpoints, session->site);
	assert_int_equal(fake_net.closes, 1);
	assert_int_equal(fake_net.conn, OTHER);
}

/* On the last connections only a session that is there is taken up again. */
static void test_a_crowd_resumes_only(void **state)
{
	(void)state;
	fixture_connect(CONN, FIXTURE_UID);
	endpoint_of(&fixture.endpoints, CONN)->session->peer.crowded = true;
	fixture_say(CONN, HELLO);
	assert_turned_away(CONN, "too_many_connections", CLOSE_TOO_MANY);

	fixture_connect(OTHER, FIXTURE_UID);
	endpoint_of(&fixture.endpoints, OTHER)->session->peer.crowded = true;
	fixture_say(OTHER, RESUME);
	assert_false(fixture_event()->session.or_new);
}

static void test_what_is_no_hello_is_turned_away(void **state)
{
	(void)state;
	fixture_connect(CONN, FIXTURE_UID);
	fixture_say(CONN, "{\"type\":\"status\"}");
	assert_int_equal(fake_net.close_code, CLOSE_TOKEN);
	fixture_connect(OTHER, FIXTURE_UID);
	fixture_say(OTHER, "{\"type\":\"hello\",\"version\":9,\"id\":\"me\"}");
	assert_int_equal(fake_net.close_code, CLOSE_VERSION);
	assert_null(fixture_event());
}

static void test_silence_has_an_end(void **state)
{
	(void)state;
	fixture_connect(CONN, FIXTURE_UID);
	struct mono_ms due = greeting_wake(&fixture.endpoints);
	assert_int_equal(due.v, fake_net.now.v + LIMIT_HELLO_TIME_MS);

	greeting_expire(&fixture.endpoints, mono_after(due, -1));
	assert_int_equal(fake_net.closes, 0);
	greeting_expire(&fixture.endpoints, due);
	assert_turned_away(CONN, "no hello", CLOSE_TOKEN);
	assert_int_equal(greeting_wake(&fixture.endpoints).v, MONO_NEVER.v);
}

static void test_the_route_takes_websockets_alone(void **state)
{
	const struct http_request request = {.conn = CONN, .method = "GET"};
	const struct request_context context = {.request = &request};
	(void)state;
	greeting_open_websocket(&fixture.sessions.greeting, &context);
	assert_int_equal(fake_net.status, 400);

	fake_net.no_upgrade = true;
	fixture_connect_page(CONN, ACCESS_TOKEN, NULL, false);
	assert_null(endpoint_of(&fixture.endpoints, CONN));
}

int main(void)
{
#define ROOM_TEST(fn) cmocka_unit_test_setup_teardown(fn, session_set_up, session_tear_down)
	const struct CMUnitTest tests[] = {
		ROOM_TEST(test_the_kernel_says_who_is_on_the_socket),
		ROOM_TEST(test_another_user_is_refused_and_logged),
		ROOM_TEST(test_nobody_comes_in_while_the_broker_stops),
		ROOM_TEST(test_a_page_shows_a_token),
		ROOM_TEST(test_a_wrong_token_opens_nothing_and_is_counted),
		ROOM_TEST(test_a_secret_is_for_the_core_to_judge),
		ROOM_TEST(test_a_site_has_its_own_token),
		ROOM_TEST(test_a_crowd_resumes_only),
		ROOM_TEST(test_what_is_no_hello_is_turned_away),
		ROOM_TEST(test_silence_has_an_end),
		ROOM_TEST(test_the_route_takes_websockets_alone),
	};
#undef ROOM_TEST
	return cmocka_run_group_tests_name("server-greeting", tests, NULL, NULL);
}
