/* Goal: a stop tells everybody, queues its event before all others, waits for what was said last
 * and not longer; the journal's health is told once; streams are kept open; memory is given back
 * when a crowd has left. Method: the parts with a fake net, the store and the core's counts the
 * test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "config/options.h"
#include "config/paths.h"
#include "core/effect.h"
#include "core/view.h"
#include "fake_net.h"
#include "net/listen.h"
#include "net/loop.h"
#include "server/access/access_setup.h"
#include "server/broker.h"
#include "server/deliver.h"
#include "server/endpoint_ops.h"
#include "server/inference/inference.h"
#include "server/journal_watch.h"
#include "server/memory_trim.h"
#include "server/monitor/position_updates.h"
#include "server/monitor/traces.h"
#include "server/notify.h"
#include "server/process_tracker.h"
#include "server/queued_event.h"
#include "server/run_state.h"
#include "server/shutdown.h"
#include "server/sockets.h"
#include "store/store.h"

enum { CONN = 7, STREAM = 8 };

static struct {
	unsigned sockets_ended, listening_stopped, doubt_ended, traced, watched, forgotten,
		signaled, to_gateway, gateway_drained;
	unsigned drained, kept, sent;
	unsigned connections, claims;
	const char *trouble;
	bool in_doubt, gateway_stops;
	unsigned lines;
	enum log_level line;
} seen;

void inference_send(struct inference *inference, struct party to, const struct send_effect *send)
{
	(void)inference, (void)send;
	assert_int_equal(to.kind, PARTY_GATEWAY);
	seen.to_gateway++;
}

void inference_drain(struct inference *inference)
{
	(void)inference;
	seen.gateway_drained++;
}

bool inference_is_stopping(const struct inference *inference)
{
	(void)inference;
	return seen.gateway_stops;
}

void notify_send(enum notify_state state, const char *status)
{
	(void)status;
	assert_int_equal(state, NOTIFY_STOPPING);
}

void sockets_end(struct sockets *sockets)
{
	(void)sockets;
	seen.sockets_ended++;
}

void net_stop_listening(struct net *net)
{
	(void)net;
	seen.listening_stopped++;
}

const char *store_trouble(const struct store *store)
{
	(void)store;
	return seen.trouble;
}

void store_end_doubt(struct store *store)
{
	(void)store;
	seen.doubt_ended++;
}

bool core_in_doubt(const struct core *core, struct mono_ms now)
{
	(void)core;
	(void)now;
	return seen.in_doubt;
}

uint32_t core_waiting_count(const struct core *core)
{
	(void)core;
	return seen.claims;
}

uint32_t core_held_count(const struct core *core)
{
	(void)core;
	return 0;
}

uint32_t core_session_count(const struct core *core)
{
	(void)core;
	return 0;
}

void traces_note(const struct traces *traces, const struct trace_effect *trace)
{
	(void)traces;
	(void)trace;
	seen.traced++;
}

void process_tracker_watch(struct process_tracker *tracker, const struct session_record *session)
{
	(void)tracker;
	(void)session;
	seen.watched++;
}

void process_tracker_forget(struct process_tracker *tracker, uint64_t session)
{
	(void)tracker;
	(void)session;
	seen.forgotten++;
}

void process_tracker_signal(struct process_tracker *tracker, uint64_t session, int signo)
{
	(void)tracker;
	(void)session;
	(void)signo;
	seen.signaled++;
}

static void on_send(void *ctx, struct endpoint *endpoint, const struct send_effect *send)
{
	(void)ctx;
	(void)endpoint;
	(void)send;
	seen.sent++;
}

static void on_drain(void *ctx, struct endpoint *endpoint)
{
	(void)ctx;
	(void)endpoint;
	seen.drained++;
}

static void on_keepalive(void *ctx, struct endpoint *endpoint, const struct text *comment)
{
	(void)ctx;
	(void)endpoint;
	assert_int_equal(comment->bytes[0], ':');
	seen.kept++;
}

static const struct endpoint_ops waiting_ops = {.send = on_send, .drain = on_drain};
static const struct endpoint_ops streaming_ops = {.keepalive = on_keepalive};

static struct endpoints endpoints;
static struct broker broker;
static struct run_state state;
static struct access_setup access_setup;
static struct paths paths;
static struct log logger;
static struct position_updates position_updates;
static struct journal_watch journal = {&broker, &access_setup, &paths, &state, &logger, false};
static struct shutdown stopping;
static struct deliver deliver;

static void on_line(void *ctx, const struct log_line *line)
{
	(void)ctx;
	seen.lines++;
	seen.line = line->level;
}

static int set_up(void **unused)
{
	(void)unused;
	fake_net_reset();
	memset(&seen, 0, sizeof seen);
	seen.trouble = "";
	endpoints_init(&endpoints, NULL);
	endpoints_serve(&endpoints, ENDPOINT_REQUEST, &waiting_ops, NULL);
	endpoints_serve(&endpoints, ENDPOINT_STREAM, &streaming_ops, NULL);
	broker = (struct broker){.now = fake_net.now, .journal_ok = true};
	event_queue_init(&broker.queue);
	state = (struct run_state){0};
	log_init(&logger, LOG_INFO, -1, loop_wall_now);
	log_set_sink(&logger, on_line, NULL);
	journal.in_doubt = false;
	position_updates.dirty = false;
	stopping = (struct shutdown){
		.endpoints = &endpoints, .broker = &broker, .state = &state, .log = &logger};
	deliver = (struct deliver){.endpoints = &endpoints,
				   .position_updates = &position_updates,
				   .journal = &journal};
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	event_queue_finish(&broker.queue);
	endpoints_finish(&endpoints);
	return 0;
}

/* ---- the end ---- */

static void test_a_stop_goes_before_all_that_waits(void **unused)
{
	(void)unused;
	endpoint_open(&endpoints, CONN, ENDPOINT_REQUEST, NULL);
	event_queue_event(&broker.queue, EVENT_ACQUIRE, party_of(PARTY_EXCHANGE, CONN));
	assert_int_equal(shutdown_step(&stopping, fake_net.now).v, MONO_NEVER.v);

	shutdown_begin(&stopping, fake_net.now);
	shutdown_begin(&stopping, fake_net.now);
	assert_true(state.draining);
	assert_int_equal(broker.queue.head->in.event.type, EVENT_DRAIN);
	assert_int_equal(broker.queue.count, 2);
	assert_int_equal(seen.drained, 1);
	assert_int_equal(seen.gateway_drained, 1);
	assert_int_equal(seen.sockets_ended, 1);
	assert_int_equal(seen.listening_stopped, 1);
	assert_int_equal(seen.lines, 1);
}

/* Two seconds for those who wait for something; a moment for those who only read. */
static void test_a_stop_waits_for_what_was_said_last(void **unused)
{
	struct mono_ms now = fake_net.now;
	(void)unused;
	struct endpoint *endpoint = endpoint_open(&endpoints, CONN, ENDPOINT_REQUEST, NULL);
	shutdown_begin(&stopping, now);
	assert_int_equal(shutdown_step(&stopping, now).v, now.v + 2000);
	endpoint_shut(&endpoints, endpoint);
	assert_int_equal(shutdown_step(&stopping, now).v, now.v + 100);
	assert_false(stopping.over);
	(void)shutdown_step(&stopping, mono_after(now, 100));
	assert_true(stopping.over);
}

/* Nobody waits for anything but a server that is to hear of it. */
static void test_a_stop_waits_for_servers(void **unused)
{
	struct mono_ms now = fake_net.now;
	(void)unused;

	seen.gateway_stops = true;
	shutdown_begin(&stopping, now);
	assert_int_equal(shutdown_step(&stopping, now).v, now.v + 2000);
	seen.gateway_stops = false;
	assert_int_equal(shutdown_step(&stopping, now).v, now.v + 100);
}

static void test_a_stop_does_not_wait_for_ever(void **unused)
{
	struct mono_ms now = fake_net.now;
	(void)unused;
	endpoint_open(&endpoints, CONN, ENDPOINT_REQUEST, NULL);
	shutdown_begin(&stopping, now);
	(void)shutdown_step(&stopping, mono_after(now, 1999));
	assert_false(stopping.over);
	(void)shutdown_step(&stopping, mono_after(now, 2000));
	assert_true(stopping.over);
}

/* ---- the way out ---- */

static void test_each_effect_has_its_part(void **unused)
{
	const struct broker_out out = deliver_out(&deliver);
	const struct send_effect send = {.msg = SEND_OK};
	const struct trace_effect trace = {.what = TRACE_RESUMED};
	const struct signal_effect signal = {.session = 1};
	const struct record put = {.type = RECORD_SESSION_PUT}, end = {.type = RECORD_SESSION_END},
			    audit = {.type = RECORD_AUDIT};
	(void)unused;
	endpoint_open(&endpoints, CONN, ENDPOINT_REQUEST, NULL);

	out.send(out.ctx, party_of(PARTY_EXCHANGE, CONN), &send);
	out.send(out.ctx, party_of(PARTY_GATEWAY, CONN), &send);
	assert_int_equal(seen.to_gateway, 1);
	out.send(out.ctx, party_of(PARTY_EXCHANGE, STREAM), &send); /* gone */
	assert_int_equal(seen.sent, 1);
	out.trace(out.ctx, &trace);
	out.signal(out.ctx, &signal);
	assert_int_equal(seen.traced + seen.signaled, 2);
	out.close(out.ctx, party_of(PARTY_SESSION, CONN));
	assert_int_equal(fake_net.close_code, 1000);
	out.appended(out.ctx, &put);
	out.appended(out.ctx, &end);
	out.appended(out.ctx, &audit);
	assert_int_equal(seen.watched, 1);
	assert_int_equal(seen.forgotten, 1);
	out.queue_changed(out.ctx);
	assert_true(position_updates.dirty);
}

static void test_streams_are_kept_open(void **unused)
{
	struct mono_ms now = fake_net.now;
	(void)unused;
	assert_int_equal(deliver_keepalive(&deliver, now).v, MONO_NEVER.v);
	endpoint_open(&endpoints, STREAM, ENDPOINT_STREAM, NULL);
	struct mono_ms due = deliver_keepalive(&deliver, now);
	assert_int_equal(due.v, now.v + 15000);
	assert_int_equal(seen.kept, 0);
	assert_int_equal(deliver_keepalive(&deliver, due).v, due.v + 15000);
	assert_int_equal(seen.kept, 1);
}

/* ---- the journal ---- */

static void test_trouble_of_the_start_is_said(void **unused)
{
	struct store_boot boot = {.in_doubt_ms = 5000, .doubt = "the folder is new"};
	(void)unused;
	journal_watch_begin(&journal, &boot, "");
	assert_int_equal(seen.lines, 1);
	assert_string_equal(state.doubt, "the folder is new");
	assert_true(journal.in_doubt);

	seen.trouble = "no space";
	boot = (struct store_boot){.quarantined = true};
	journal_watch_begin(&journal, &boot, "checksum");
	assert_int_equal(seen.lines, 3);
	assert_false(journal.in_doubt);
}

static void test_a_doubt_ends_once(void **unused)
{
	(void)unused;
	journal.in_doubt = seen.in_doubt = true;
	journal_watch_step(&journal);
	seen.in_doubt = false;
	broker.journal_ok = false; /* it could not be written down */
	journal_watch_step(&journal);
	assert_int_equal(seen.doubt_ended, 0);
	broker.journal_ok = true;
	journal_watch_step(&journal);
	journal_watch_step(&journal);
	assert_int_equal(seen.doubt_ended, 1);
	assert_int_equal(seen.lines, 1);
}

/* The folder may be a new one: what the broker knows by heart is written again. */
static void test_a_journal_that_works_again_has_its_tokens(void **unused)
{
	char path[SETTINGS_PATH_BYTES + 16];
	const struct broker_out out = deliver_out(&deliver);
	(void)unused;
	out.journal(out.ctx, false);
	assert_int_equal(seen.line, LOG_ERROR);

	snprintf(paths.state_dir, sizeof paths.state_dir, "/tmp/baton-shutdown-XXXXXX");
	assert_non_null(mkdtemp(paths.state_dir));
	snprintf(access_setup.token, sizeof access_setup.token, "abc");
	out.journal(out.ctx, true);
	assert_int_equal(seen.line, LOG_INFO);
	snprintf(path, sizeof path, "%s/token", paths.state_dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(paths.state_dir), 0);
}

/* ---- memory ---- */

static void test_memory_is_given_back_once_a_crowd_has_left(void **unused)
{
	struct memory_trim trim = {.left = MONO_NEVER};
	struct mono_ms now = fake_net.now;
	(void)unused;
	seen.claims = 100;
	assert_int_equal(memory_trim_step(&trim, NULL, now).v, MONO_NEVER.v);
	seen.claims = 5000;
	assert_int_equal(memory_trim_step(&trim, NULL, now).v, MONO_NEVER.v);
	seen.claims = 2000; /* most are there */
	assert_int_equal(memory_trim_step(&trim, NULL, now).v, MONO_NEVER.v);
	seen.claims = 1000;
	struct mono_ms due = memory_trim_step(&trim, NULL, now);
	assert_int_equal(due.v, now.v + 1000);
	assert_int_equal(trim.crowd_max, 5000);
	assert_int_equal(memory_trim_step(&trim, NULL, due).v, MONO_NEVER.v);
	assert_int_equal(trim.crowd_max, 1000);
}

int main(void)
{
#define PART_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		PART_TEST(test_a_stop_goes_before_all_that_waits),
		PART_TEST(test_a_stop_waits_for_what_was_said_last),
		PART_TEST(test_a_stop_waits_for_servers),
		PART_TEST(test_a_stop_does_not_wait_for_ever),
		PART_TEST(test_each_effect_has_its_part),
		PART_TEST(test_streams_are_kept_open),
		PART_TEST(test_trouble_of_the_start_is_said),
		PART_TEST(test_a_doubt_ends_once),
		PART_TEST(test_a_journal_that_works_again_has_its_tokens),
		PART_TEST(test_memory_is_given_back_once_a_crowd_has_left),
	};
#undef PART_TEST
	return cmocka_run_group_tests_name("server-shutdown", tests, NULL, NULL);
}
