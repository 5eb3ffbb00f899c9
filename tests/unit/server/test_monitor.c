/* Goal: what people see of the broker is complete, bounded, and goes to who asked. Method: the real
 * sources over an empty core; net only notes what it was given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "base/text.h"
#include "core/config.h"
#include "core/core.h"
#include "net/http_reply.h"
#include "net/loop.h"
#include "net/session.h"
#include "server/broker.h"
#include "server/endpoints.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/metrics.h"
#include "server/monitor/monitor.h"
#include "server/monitor/monitoring.h"
#include "server/monitor/status_stream.h"
#include "server/monitor/tally.h"
#include "server/monitor/vram_history.h"
#include "server/run_state.h"
#include "store/store.h"
#include "wire/session_decode.h"

/* ---- what net was given ---- */

static struct {
	unsigned messages, answers;
	uint64_t conn;
	char last[8192];
	size_t pending;
} sent;

static void note_sent(uint64_t conn, const char *bytes, size_t length)
{
	sent.conn = conn;
	assert_true(length < sizeof(sent.last));
	memcpy(sent.last, bytes, length);
	sent.last[length] = '\0';
}

void net_session_send(struct net *net, uint64_t conn, const char *text, size_t length)
{
	(void)net;
	sent.messages++;
	note_sent(conn, text, length);
}

size_t net_session_pending(const struct net *net, uint64_t conn)
{
	(void)net;
	(void)conn;
	return sent.pending;
}

void http_reply(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		size_t header_count, const char *body, size_t body_length)
{
	(void)net;
	(void)headers;
	(void)header_count;
	assert_int_equal(status, 200);
	sent.answers++;
	note_sent(conn, body, body_length);
}

void http_stream_begin(struct net *net, uint64_t conn, int status,
		       const struct http_header *headers, size_t header_count)
{
	(void)net;
	(void)conn;
	(void)status;
	(void)headers;
	(void)header_count;
	fail_msg("an empty status is no stream");
}

bool http_stream_write(struct net *net, uint64_t conn, const char *bytes, size_t length)
{
	(void)net;
	(void)conn;
	(void)bytes;
	(void)length;
	return true;
}

size_t http_stream_pending(const struct net *net, uint64_t conn)
{
	(void)net;
	(void)conn;
	return 0;
}

void http_stream_end(struct net *net, uint64_t conn)
{
	(void)net;
	(void)conn;
}

unsigned net_connection_count(const struct net *net)
{
	(void)net;
	return 3;
}

struct mono_ms loop_now(void)
{
	return (struct mono_ms){5000};
}

int64_t loop_suspended_ms(void)
{
	return 0;
}

const char *store_trouble(const struct store *store)
{
	(void)store;
	return "";
}

/* ---- a broker in which nothing happens ---- */

static struct endpoints endpoints;
static struct broker broker;
static struct core_config config;
static struct run_state state;
static struct event_ring events;
static struct vram_history history;
static struct tally tally;
static const struct monitor monitor = {&endpoints, &broker,  &config, &state,
				       &events,    &history, &tally,  NULL};
static struct status_streams streams;

static int set_up(void **unused)
{
	(void)unused;
	memset(&sent, 0, sizeof(sent));
	endpoints_init(&endpoints, NULL);
	broker = (struct broker){.core = core_create(), .now = {5000}, .wall = {1700000000000}};
	state = (struct run_state){.started = {2000}, .requests = 41, .turn_ms_max = 12};
	event_ring_init(&events, 1);
	status_streams_init(&streams, &monitor);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	status_streams_finish(&streams);
	event_ring_finish(&events);
	core_destroy(broker.core);
	endpoints_finish(&endpoints);
	return 0;
}

static void open_session(uint64_t conn, uint64_t id)
{
	struct endpoint *endpoint = endpoint_open(&endpoints, conn, ENDPOINT_SESSION, NULL);
	endpoint->session = calloc(1, sizeof(*endpoint->session));
	assert_non_null(endpoint->session);
	endpoint->session->pidfd = -1;
	endpoint->session->id = id;
}

/* A status is one answer that shuts its endpoint, and says how the daemon itself does. */
static void test_status_answer(void **unused)
{
	(void)unused;
	endpoint_open(&endpoints, 7, ENDPOINT_STATUS, NULL);
	assert_true(status_stream_begin(&streams, 7, false, 10));
	assert_false(status_stream_begin(&streams, 7, false, 10));
	state.draining = true; /* all of it is of the moment in which it is written */

	assert_int_equal(status_streams_step(&streams).v, MONO_NEVER.v);
	assert_int_equal(sent.answers, 1);
	assert_int_equal(sent.conn, 7);
	assert_non_null(strstr(sent.last, "\"draining\":true"));
	assert_non_null(strstr(sent.last, "\"uptime_s\":3"));
	assert_null(endpoint_of(&endpoints, 7));
	assert_int_equal(streams.count, 0);
}

/* A session that goes takes its status with it; one that stays keeps its endpoint. */
static void test_status_message(void **unused)
{
	(void)unused;
	open_session(8, 1);
	open_session(9, 2);
	assert_true(status_stream_begin(&streams, 8, true, 10));
	assert_true(status_stream_begin(&streams, 9, true, 10));
	status_stream_drop(&streams, 8);

	(void)status_streams_step(&streams);
	assert_int_equal(sent.messages, 1);
	assert_int_equal(sent.conn, 9);
	assert_non_null(endpoint_of(&endpoints, 9));
}

/* Who is connected: not those whom the core has not let in, and nothing to who does not read. */
static void test_clients(void **unused)
{
	(void)unused;
	open_session(8, 1);
	open_session(9, 0);
	assert_true(monitoring_send_clients(&monitor, 8));
	assert_non_null(strstr(sent.last, "\"session\":1"));
	assert_null(strstr(sent.last, "\"session\":0"));

	sent.pending = WATCH_PENDING_BYTES;
	assert_false(monitoring_send_clients(&monitor, 8));
	assert_int_equal(sent.messages, 1);
}

/* The newest changes up to the limit, in their order, then how many. */
static void test_events(void **unused)
{
	const struct session_request request = {.limit = 2};
	const struct trace_effect trace = {.what = TRACE_RESUMED};

	(void)unused;
	for (int i = 0; i < 5; i++)
		event_ring_add(&events, &trace, broker.wall);
	assert_true(monitoring_send_events(&monitor, 8, &request));
	assert_int_equal(sent.messages, 3);
	assert_non_null(strstr(sent.last, "\"count\":2"));
}

/* The daemon's own rows stand beside the core's. */
static void test_metrics(void **unused)
{
	struct text text;

	(void)unused;
	text_init(&text);
	metrics_write(&monitor, &text);
	assert_non_null(strstr(text.bytes, "\nbaton_uptime_seconds 3\n"));
	assert_non_null(strstr(text.bytes, "\nbaton_connections 3\n"));
	assert_non_null(strstr(text.bytes, "\nbaton_requests_total 41\n"));
	assert_non_null(strstr(text.bytes, "\nbaton_turn_seconds_max 0.012\n"));
	text_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_status_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status_message, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clients, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_metrics, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
