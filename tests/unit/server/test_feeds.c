/* Goal: changes and log lines go to the sessions and streams that asked for them, and to no other,
 * each at the pace of its reader. Method: the real rings and feeds; net only notes what it is
 * given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "core/config.h"
#include "fake_net.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/monitor/event_feed.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/log_feed.h"
#include "server/monitor/log_ring.h"
#include "server/monitor/monitor.h"
#include "server/monitor/tally.h"
#include "server/monitor/traces.h"
#include "server/run_state.h"

enum { ASKED = 8, QUIET = 9, STREAM = 10, LAGS_BYTES = 257 * 1024 };

static struct endpoints endpoints;
static struct broker broker;
static struct core_config config;
static struct run_state state;
static struct event_ring events;
static struct tally tally;
static struct log_ring lines;
static const struct monitor monitor = {.endpoints = &endpoints,
				       .broker = &broker,
				       .config = &config,
				       .state = &state,
				       .event_ring = &events,
				       .tally = &tally};
static const struct traces traces = {&monitor, &events, &tally, &state, &lines.log};
static struct log_feed log_feed = {&endpoints, &lines};

static int set_up(void **unused)
{
	(void)unused;
	fake_net_reset();
	endpoints_init(&endpoints, NULL);
	endpoints_serve(&endpoints, ENDPOINT_FEED, &event_feed_ops, (void *)(uintptr_t)&monitor);
	broker = (struct broker){.now = {5000}, .wall = {1700000000000}};
	state = (struct run_state){0};
	event_ring_init(&events, 1);
	log_ring_init(&lines, LOG_INFO);
	lines.log.fd = -1;
	log_ring_on_line(&lines, log_feed_line, &log_feed);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	endpoints_finish(&endpoints);
	event_ring_finish(&events);
	log_ring_finish(&lines);
	return 0;
}

static void note(enum trace_what what, const char *detail)
{
	struct trace_effect trace = {.what = what};
	memcpy(trace.detail, detail, strlen(detail));
	traces_note(&traces, &trace);
}

static void test_a_change_goes_to_the_ring_and_to_those_that_asked(void **unused)
{
	(void)unused;
	fake_session(&endpoints, ASKED, 1)->session->events = true;
	fake_session(&endpoints, QUIET, 2);
	events.subscribers = 1;

	note(TRACE_RESUMED, "");
	assert_int_equal(fake_net.messages, 1);
	assert_int_equal(fake_net.conn, ASKED);
	assert_non_null(strstr(fake_net.body, "\"resumed\""));
	assert_int_equal(events.next - events.first, 1);
	assert_int_equal(lines.next, 2); /* and one line of the log */
}

static void test_a_pause_leaves_its_reason(void **unused)
{
	(void)unused;
	note(TRACE_PAUSED, "the fan is loud");
	assert_string_equal(state.paused_reason, "the fan is loud");
}

static void test_a_quiet_log_takes_no_changes(void **unused)
{
	(void)unused;
	lines.log.level = LOG_WARN;
	note(TRACE_RESUMED, "");
	assert_int_equal(lines.next, 1);
	assert_int_equal(events.next - events.first, 1);
}

static void test_a_line_goes_to_those_that_asked(void **unused)
{
	(void)unused;
	fake_session(&endpoints, ASKED, 1)->session->logs = true;
	fake_session(&endpoints, QUIET, 2);

	log_write(&lines.log, LOG_INFO, "before", NULL, 0);
	assert_int_equal(fake_net.messages, 0);
	lines.subscribers = 1;
	log_write(&lines.log, LOG_INFO, "after", NULL, 0);
	assert_int_equal(fake_net.messages, 1);
	assert_int_equal(fake_net.conn, ASKED);
	assert_non_null(strstr(fake_net.body, "info after"));
}

static void test_lines_of_before_are_the_newest_or_those_since(void **unused)
{
	(void)unused;
	for (int i = 0; i < 5; i++)
		log_write(&lines.log, LOG_INFO, i == 4 ? "last" : "line", NULL, 0);

	assert_int_equal(log_feed_send(&log_feed, ASKED, 0, 2), 2);
	assert_non_null(strstr(fake_net.body, "last"));
	assert_int_equal(log_feed_send(&log_feed, ASKED, 2, 100), 4);
	assert_int_equal(log_feed_send(&log_feed, ASKED, 1, 3), 3);
	assert_null(strstr(fake_net.body, "last"));
	assert_int_equal(log_feed_send(&log_feed, ASKED, 6, 100), 0);
}

static void test_a_stream_gets_what_it_has_not_read_once(void **unused)
{
	(void)unused;
	struct endpoint *endpoint = endpoint_open(&endpoints, STREAM, ENDPOINT_FEED, NULL);
	endpoint->sent = events.next - 1;
	note(TRACE_RESUMED, "");
	note(TRACE_RESUMED, "");

	assert_false(event_feeds_step(&monitor));
	assert_int_equal(endpoint->sent, events.next - 1);
	assert_int_equal(fake_net.writes, 1);
	assert_false(event_feeds_step(&monitor));
	assert_int_equal(fake_net.writes, 1);
}

static void test_a_reader_that_lags_is_asked_again(void **unused)
{
	(void)unused;
	struct endpoint *endpoint = endpoint_open(&endpoints, STREAM, ENDPOINT_FEED, NULL);
	endpoint->sent = events.next - 1;
	note(TRACE_RESUMED, "");
	fake_net.pending = LAGS_BYTES;

	assert_true(event_feeds_step(&monitor));
	assert_int_equal(fake_net.writes, 0);
}

static void test_what_was_forgotten_is_a_reset(void **unused)
{
	(void)unused;
	struct endpoint *endpoint = endpoint_open(&endpoints, STREAM, ENDPOINT_FEED, NULL);
	endpoint->sent = events.first - 1;
	for (unsigned i = 0; i < LIMIT_EVENT_RING + 1; i++)
		note(TRACE_RESUMED, "");

	assert_true(event_feeds_step(&monitor)); /* a piece a turn */
	assert_non_null(strstr(fake_net.body, "event: reset"));
	assert_null(strstr(strstr(fake_net.body, "event: reset") + 1, "event: reset"));
}

static void test_a_stop_ends_the_stream(void **unused)
{
	(void)unused;
	endpoint_open(&endpoints, STREAM, ENDPOINT_FEED, NULL);
	endpoints_drain(&endpoints);
	assert_non_null(strstr(fake_net.body, "event: denied"));
	assert_int_equal(fake_net.ends, 1);
	assert_null(endpoint_of(&endpoints, STREAM));
}

int main(void)
{
#define FEED_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		FEED_TEST(test_a_change_goes_to_the_ring_and_to_those_that_asked),
		FEED_TEST(test_a_pause_leaves_its_reason),
		FEED_TEST(test_a_quiet_log_takes_no_changes),
		FEED_TEST(test_a_line_goes_to_those_that_asked),
		FEED_TEST(test_lines_of_before_are_the_newest_or_those_since),
		FEED_TEST(test_a_stream_gets_what_it_has_not_read_once),
		FEED_TEST(test_a_reader_that_lags_is_asked_again),
		FEED_TEST(test_what_was_forgotten_is_a_reset),
		FEED_TEST(test_a_stop_ends_the_stream),
	};
#undef FEED_TEST
	return cmocka_run_group_tests_name("server-feeds", tests, NULL, NULL);
}
