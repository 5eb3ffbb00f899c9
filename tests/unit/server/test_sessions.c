/* Goal: what a session says becomes the event that it means, or an answer, or a refusal, by what it
 * may do; and each effect becomes a message to it. Method: real messages and effects into the
 * session room over an empty core and a fake net. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "core/send.h"
#include "server/endpoint_ops.h"
#include "server/session/session_list.h"
#include "session_fixture.h"
#include "wire/session_decode.h"

enum { CONN = 7, OTHER = 8, ID = 31 };
#define ACQUIRE "{\"type\":\"acquire\",\"ref\":5}"

static void set_rights(enum access_right rights)
{
	endpoint_of(&fixture.endpoints, CONN)->session->rights = rights;
}

static void assert_denied(const char *error)
{
	assert_non_null(strstr(fake_net.body, "\"denied\""));
	assert_non_null(strstr(fake_net.body, error));
	assert_null(fixture_event());
}

/* ---- events ---- */

static void test_an_acquire_carries_its_binding(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture_say(CONN, ACQUIRE);

	const struct event *event = fixture_event();
	assert_int_equal(event->type, EVENT_ACQUIRE);
	assert_int_equal(event->acquire.ref, 5);
	assert_int_equal(event->acquire.binding, BIND_NATIVE);
	assert_int_equal(event->from.kind, PARTY_SESSION);
	assert_int_equal(event->from.id, CONN);
}

static void test_a_bad_message_is_denied_and_the_session_stays(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture_say(CONN, "{\"type\":\"acquire\",\"ref\":5,\"class\":\"royal\"}");
	assert_non_null(strstr(fake_net.body, "\"ref\":5"));
	assert_denied("class");
	assert_int_equal(fake_net.closes, 0);
	assert_int_equal(fixture.broker.queue.count, 0);
}

static void test_an_operator_is_named(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture_say(CONN, "{\"type\":\"admin\",\"act\":\"pause\"}");
	const struct event *event = fixture_event();
	assert_int_equal(event->type, EVENT_ADMIN);
	assert_string_equal(event->admin.who, "uid=1000 pid=4242");
}

static void test_what_is_not_for_it_is_refused(void **state)
{
	static const char *const for_admins[] = {"{\"type\":\"admin\",\"act\":\"pause\"}",
						 "{\"type\":\"open\"}", "{\"type\":\"reload\"}"};
	(void)state;
	fixture_enter(CONN, ID);
	for (size_t i = 0; i < 3; i++) {
		set_rights(ACCESS_TOKEN);
		fixture_say(CONN, for_admins[i]);
		assert_denied("forbidden");
		set_rights(ACCESS_NONE);
		fixture_say(CONN, for_admins[i]);
		assert_denied("unauthorized");
	}
	assert_int_equal(fixture.reloads, 0);

	fixture_say(CONN, "{\"type\":\"status\"}"); /* a secret that the core has not judged yet */
	assert_denied("unauthorized");
	fixture_say(CONN, ACQUIRE); /* meets the core's own refusal */
	assert_int_equal(fixture_event()->type, EVENT_ACQUIRE);
}

static void test_a_site_asks_of_itself_alone(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	set_rights(ACCESS_QUEUE);
	fixture_say(CONN, "{\"type\":\"clients\"}");
	assert_denied("forbidden");
	fixture_say(CONN, "{\"type\":\"subscribe\",\"events\":true}");
	assert_denied("forbidden");
	fixture_say(CONN, "{\"type\":\"status\"}");
	assert_int_equal(fixture.status_streams.count, 1);
}

/* ---- answers ---- */

static void test_any_question_is_a_sign_of_life(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture_say(CONN, "{\"type\":\"logs\"}");
	assert_int_equal(fixture_event()->type, EVENT_ALIVE);
	assert_non_null(strstr(fake_net.body, "\"ok\""));
}

static void test_subscribers_are_counted_until_they_go(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture_say(CONN, "{\"type\":\"subscribe\",\"events\":true,\"logs\":true}");
	fixture_say(CONN, "{\"type\":\"subscribe\",\"events\":true,\"logs\":true}");
	assert_int_equal(fixture.events.subscribers, 1);
	assert_int_equal(fixture.lines.subscribers, 1);
	fixture_say(CONN, "{\"type\":\"subscribe\",\"events\":true,\"logs\":false}");
	assert_int_equal(fixture.lines.subscribers, 0);

	endpoints_gone(&fixture.endpoints, CONN);
	assert_int_equal(fixture.events.subscribers, 0);
}

static void test_a_link_signs_in(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture_say(CONN, "{\"type\":\"open\"}");
	assert_non_null(strstr(fake_net.body, "http://127.0.0.1:8470/?open="));
	assert_non_null(strstr(fake_net.body, fixture.access.keys.links[0].hex));
	fixture_say(CONN, "{\"type\":\"open\"}");
	assert_string_not_equal(fixture.access.keys.links[0].hex, fixture.access.keys.links[1].hex);
}

static void test_a_reload_says_what_changed_or_why_not(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture_say(CONN, "{\"type\":\"reload\"}");
	assert_non_null(strstr(fake_net.body, "[\"timing\",\"keys\"]"));
	fixture.reload_rc = -ERR_CONFIG;
	fixture_say(CONN, "{\"type\":\"reload\"}");
	assert_non_null(strstr(fake_net.body, "line 3 is wrong"));
}

static void test_one_status_at_a_time(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture_say(CONN, "{\"type\":\"status\"}");
	fixture_say(CONN, "{\"type\":\"status\"}");
	assert_non_null(strstr(fake_net.body, "rate_limited"));
	assert_int_equal(fixture.status_streams.count, 1);
	endpoints_gone(&fixture.endpoints, CONN);
	assert_int_equal(fixture.status_streams.count, 0);
}

/* ---- effects ---- */

static void test_a_welcome_is_remembered(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	assert_int_equal(fixture.taken, ID);
	assert_non_null(strstr(fake_net.body, "\"welcome\""));
	assert_non_null(strstr(fake_net.body, "\"rights\":\"admin\""));
}

static void test_a_secret_that_was_right_gives_rights(void **state)
{
	const struct send_effect welcome = {.msg = SEND_WELCOME, .lease = ID};
	(void)state;
	fixture_connect_page(CONN, ACCESS_NONE, NULL, false);
	endpoints_send(&fixture.endpoints, CONN, &welcome);
	assert_int_equal(endpoint_of(&fixture.endpoints, CONN)->session->rights, ACCESS_TOKEN);
	assert_int_equal(fixture.taken, 0); /* a page has no process */
}

static void test_a_session_that_the_core_denies_is_closed(void **state)
{
	const struct send_effect denied = {.msg = SEND_DENIED, .err = ERR_QUEUE_FULL};
	(void)state;
	fixture_connect(CONN, FIXTURE_UID);
	endpoints_send(&fixture.endpoints, CONN, &denied);
	assert_int_equal(fake_net.close_code, CLOSE_TOO_MANY);

	fake_net.closes = 0;
	fixture_enter(OTHER, ID);
	endpoints_send(&fixture.endpoints, OTHER, &denied); /* of one of its claims */
	assert_int_equal(fake_net.closes, 0);
}

static void test_a_revoked_lease_is_overdue_until_it_is_released(void **state)
{
	const struct send_effect revoked = {.msg = SEND_REVOKED, .lease = 3, .state = CLAIM_HELD};
	(void)state;
	fixture_enter(CONN, ID);
	const struct endpoint_session *session = endpoint_of(&fixture.endpoints, CONN)->session;
	endpoints_send(&fixture.endpoints, CONN, &revoked);
	assert_int_equal(session->unconfirmed_count, 1);
	fixture_say(CONN, "{\"type\":\"release\",\"lease\":3,\"fence\":1}");
	assert_int_equal(session->unconfirmed_count, 0);
}

/* ---- the end ---- */

static void test_a_closed_connection_is_an_event(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture.peer_gone = true;
	endpoints_gone(&fixture.endpoints, CONN);
	const struct event *event = fixture_event();
	assert_int_equal(event->type, EVENT_CONN_CLOSED);
	assert_int_equal(event->from.id, CONN);
	assert_true(event->closed.peer_gone);

	fixture_connect(OTHER, FIXTURE_UID); /* the core never heard of it */
	endpoints_gone(&fixture.endpoints, OTHER);
	assert_null(fixture_event());
}

static void test_a_stop_closes_and_hears_no_more(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fixture.state.draining = true;
	endpoints_drain(&fixture.endpoints);
	assert_int_equal(fake_net.close_code, CLOSE_DRAINING);
	fixture_say(CONN, ACQUIRE);
	endpoints_gone(&fixture.endpoints, CONN);
	assert_null(fixture_event());
}

static void test_pages_hear_of_changed_files(void **state)
{
	(void)state;
	fixture_enter(CONN, ID);
	fake_session(&fixture.endpoints, OTHER, ID + 1)->session->binding = BIND_TAB;
	fake_net.messages = 0;
	sessions_tell_reload(&fixture.endpoints, "/pages/mic/mic.js");
	assert_int_equal(fake_net.messages, 1);
	assert_int_equal(fake_net.conn, OTHER);
}

int main(void)
{
#define ROOM_TEST(fn) cmocka_unit_test_setup_teardown(fn, session_set_up, session_tear_down)
	const struct CMUnitTest tests[] = {
		ROOM_TEST(test_an_acquire_carries_its_binding),
		ROOM_TEST(test_a_bad_message_is_denied_and_the_session_stays),
		ROOM_TEST(test_an_operator_is_named),
		ROOM_TEST(test_what_is_not_for_it_is_refused),
		ROOM_TEST(test_a_site_asks_of_itself_alone),
		ROOM_TEST(test_any_question_is_a_sign_of_life),
		ROOM_TEST(test_subscribers_are_counted_until_they_go),
		ROOM_TEST(test_a_link_signs_in),
		ROOM_TEST(test_a_reload_says_what_changed_or_why_not),
		ROOM_TEST(test_one_status_at_a_time),
		ROOM_TEST(test_a_welcome_is_remembered),
		ROOM_TEST(test_a_secret_that_was_right_gives_rights),
		ROOM_TEST(test_a_session_that_the_core_denies_is_closed),
		ROOM_TEST(test_a_revoked_lease_is_overdue_until_it_is_released),
		ROOM_TEST(test_a_closed_connection_is_an_event),
		ROOM_TEST(test_a_stop_closes_and_hears_no_more),
		ROOM_TEST(test_pages_hear_of_changed_files),
	};
#undef ROOM_TEST
	return cmocka_run_group_tests_name("server-sessions", tests, NULL, NULL);
}
