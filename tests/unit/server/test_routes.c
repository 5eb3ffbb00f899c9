/* Goal: what people read says how it is, from where they left off; and a site that asks to queue is
 * let in, refused and sent away by the operator alone. Method: real handlers over an empty core,
 * rings of the test's and a fake net. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "config/options.h"
#include "config/paths.h"
#include "core/core.h"
#include "fake_net.h"
#include "net/http.h"
#include "server/access/access_setup.h"
#include "server/access/site_keeper.h"
#include "server/broker.h"
#include "server/http/history.h"
#include "server/http/monitoring_routes.h"
#include "server/http/site_routes.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/log_ring.h"
#include "server/monitor/monitor.h"
#include "server/monitor/status_stream.h"
#include "server/monitor/tally.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "store/store.h"

enum { CONN = 7, PAGE = 8, EPOCH = 3 };
static const char *const app = "https://app.example";

static struct endpoints endpoints;
static struct broker broker;
static struct core_config config;
static struct run_state state;
static struct event_ring events;
static struct log_ring lines;
static struct tally tally;
static const struct monitor monitor = {.endpoints = &endpoints,
				       .broker = &broker,
				       .config = &config,
				       .state = &state,
				       .event_ring = &events,
				       .tally = &tally};
static struct status_streams streams;
static struct monitoring_routes routes = {&monitor, &streams, &lines};
static struct sites sites;
static struct access_setup access_setup;
static struct paths paths;
static struct site_keeper keeper = {&sites, &access_setup, &paths, &lines.log};
static struct site_routes site_routes = {&endpoints, &broker, &keeper, &state, &lines.log};
static const char *const hosts[] = {"127.0.0.1:8470"};
static struct http_request request;
static struct request_context context;

/* A journal of rows 1 to 9, newest first, of which it shows `most` a time. */
int store_history(struct store *store, uint64_t before, unsigned most,
		  void (*fn)(void *ctx, uint64_t row, const struct record *record), void *ctx)
{
	(void)store;
	uint64_t row = before ? before - 1 : 9;
	for (unsigned n = 0; n < most && row > 0; n++, row--) {
		struct record record = {.type = row % 2 ? RECORD_CLAIM_END : RECORD_AUDIT};
		snprintf(record.claim.name, sizeof record.claim.name, "me");
		fn(ctx, row, &record);
	}
	return 0;
}

static int set_up(void **unused)
{
	(void)unused;
	fake_net_reset();
	endpoints_init(&endpoints, NULL);
	broker = (struct broker){.core = core_create(), .now = {5000}, .wall = {1700000000000}};
	state = (struct run_state){.started = {2000}};
	event_ring_init(&events, EPOCH);
	log_ring_init(&lines, LOG_INFO);
	lines.log.fd = -1;
	status_streams_init(&streams, &monitor);
	snprintf(paths.state_dir, sizeof paths.state_dir, "/tmp/baton-routes-XXXXXX");
	assert_non_null(mkdtemp(paths.state_dir));
	access_setup = (struct access_setup){0};
	access_setup.policy.hosts = hosts;
	access_setup.policy.host_count = 1;
	site_keeper_begin(&keeper);
	request = (struct http_request){.conn = CONN, .method = "GET", .query = "", .peer.uid = -1};
	context = (struct request_context){.request = &request, .verdict.who.uid = -1};
	return 0;
}

static int tear_down(void **unused)
{
	char path[SETTINGS_PATH_BYTES + 8];
	(void)unused;
	snprintf(path, sizeof path, "%s/sites", paths.state_dir);
	(void)unlink(path);
	(void)rmdir(paths.state_dir);
	status_streams_finish(&streams);
	log_ring_finish(&lines);
	event_ring_finish(&events);
	core_destroy(broker.core);
	endpoints_finish(&endpoints);
	return 0;
}

/* ---- monitoring ---- */

static void test_health_says_when_it_stops(void **unused)
{
	(void)unused;
	route_health(&routes, &context);
	assert_int_equal(fake_net.status, 200);
	assert_non_null(strstr(fake_net.body, "\"status\":\"ok\""));
	state.draining = true;
	route_health(&routes, &context);
	assert_int_equal(fake_net.status, 503);
	assert_non_null(strstr(fake_net.body, "\"status\":\"draining\""));
}

static uint64_t sent_before(const char *query, const char *last_event_id)
{
	request.query = query;
	request.last_event_id = last_event_id;
	route_events(&routes, &context);
	struct endpoint *endpoint = endpoint_of(&endpoints, CONN);
	assert_non_null(endpoint);
	uint64_t sent = endpoint->sent;
	endpoint_shut(&endpoints, endpoint);
	return sent;
}

static void test_changes_are_read_from_where_one_left_off(void **unused)
{
	const struct trace_effect trace = {.what = TRACE_RESUMED};
	char query[64];
	(void)unused;
	for (int i = 0; i < 4; i++)
		event_ring_add(&events, &trace, broker.wall);

	assert_int_equal(sent_before("", NULL), events.next - 1); /* only what comes */
	snprintf(query, sizeof query, "since=%llu", (unsigned long long)events.first + 1);
	assert_int_equal(sent_before(query, NULL), events.first + 1);
	assert_int_equal(sent_before("", query + 6), events.first + 1);
	assert_int_equal(sent_before("since=0", NULL), events.first - 1); /* all there is */
	snprintf(query, sizeof query, "since=%llu", (unsigned long long)events.next + 5);
	assert_int_equal(sent_before(query, NULL), events.next - 1); /* of another broker */
}

static void test_a_head_of_changes_ends_at_once(void **unused)
{
	(void)unused;
	request.method = "HEAD";
	route_events(&routes, &context);
	assert_int_equal(fake_net.ends, 1);
	assert_null(endpoint_of(&endpoints, CONN));
}

static void test_log_lines_are_the_newest_or_those_since(void **unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		log_write(&lines.log, LOG_INFO, "line", NULL, 0);
	request.query = "limit=2";
	route_logs(&routes, &context);
	assert_non_null(strstr(fake_net.body, "\"id\":2"));
	assert_null(strstr(fake_net.body, "\"id\":1,"));
	assert_non_null(strstr(fake_net.body, "\"next\":4"));
	assert_non_null(strstr(fake_net.headers, "Vary: Accept"));

	route_logs_clear(&routes, &context);
	request.query = "since=1";
	route_logs(&routes, &context);
	assert_non_null(strstr(fake_net.body, "\"logs\":[]"));
}

static void test_a_status_has_an_endpoint(void **unused)
{
	(void)unused;
	route_status(&routes, &context);
	assert_int_equal(endpoint_of(&endpoints, CONN)->kind, ENDPOINT_STATUS);
	assert_int_equal(streams.count, 1);
}

static void test_metrics_are_text(void **unused)
{
	(void)unused;
	route_metrics(&routes, &context);
	assert_non_null(strstr(fake_net.headers, "text/plain; version=0.0.4"));
	assert_non_null(strstr(fake_net.body, "baton_uptime_seconds 3\n"));
}

static void test_the_past_is_read_page_by_page(void **unused)
{
	(void)unused;
	request.query = "limit=4";
	route_history(&routes, &context);
	assert_non_null(strstr(fake_net.body, "\"next\":6"));
	request.query = "limit=9&before=6";
	route_history(&routes, &context);
	assert_null(strstr(fake_net.body, "\"next\"")); /* that was all */
	request.query = "name=you";
	route_history(&routes, &context);
	assert_non_null(strstr(fake_net.body, "\"history\":[]"));
	request.query = "name=%00";
	route_history(&routes, &context);
	assert_int_equal(fake_net.status, 400);
}

/* ---- sites ---- */

static void pair(const char *origin, const char *body)
{
	request.method = "POST";
	request.origin = origin;
	request.body = body;
	request.body_length = strlen(body);
	route_pair(&site_routes, &context);
}

/* The one that waits or was not told yet; NULL: none. */
static const struct site_ask *asked(void)
{
	for (int i = 0; i < SITE_ASKS_MAX; i++)
		if (sites.asks[i].id)
			return &sites.asks[i];
	return NULL;
}

static void act(enum route_id id, uint64_t number)
{
	const struct route route = {.id = id, .method = "POST"};
	context.verdict.match = (struct route_match){.route = &route, .lease = number};
	route_site_act(&site_routes, &context);
	context.verdict.match.route = NULL;
}

static void poll_ask(void)
{
	char body[128];
	snprintf(body, sizeof body, "{\"ask\":\"%s\"}", asked()->secret);
	pair(app, body);
}

static void test_a_page_asks_waits_and_is_allowed_once(void **unused)
{
	(void)unused;
	pair(app, "");
	assert_non_null(strstr(fake_net.body, "\"status\":\"asked\""));
	poll_ask();
	assert_non_null(strstr(fake_net.body, "\"status\":\"waiting\""));
	assert_null(strstr(fake_net.body, "\"token\""));

	act(ROUTE_SITE_ALLOW, asked()->id);
	assert_int_equal(fake_net.status, 200);
	assert_int_equal(access_setup.policy.site_count, 1);
	char secret[SECRET_HEX_BYTES], body[128];
	memcpy(secret, asked()->secret, sizeof secret);
	poll_ask();
	assert_non_null(strstr(fake_net.body, "\"token\""));
	snprintf(body, sizeof body, "{\"ask\":\"%s\"}", secret);
	pair(app, body); /* it was told */
	assert_int_equal(fake_net.status, 404);
}

static void test_only_other_origins_ask(void **unused)
{
	(void)unused;
	pair(NULL, "");
	assert_int_equal(fake_net.status, 403);
	pair("http://127.0.0.1:8470", "");
	assert_int_equal(fake_net.status, 403);
	pair("https://APP.example", "");
	assert_int_equal(fake_net.status, 403);
	state.draining = true;
	pair(app, "");
	assert_int_equal(fake_net.status, 503);
	assert_null(asked());
}

static void test_who_was_refused_asks_no_more(void **unused)
{
	(void)unused;
	pair(app, "");
	act(ROUTE_SITE_REFUSE, asked()->id);
	assert_int_equal(fake_net.status, 200);
	pair(app, "");
	assert_int_equal(fake_net.status, 429);
	act(ROUTE_SITE_ALLOW, 99);
	assert_int_equal(fake_net.status, 404);
}

static void test_a_revoked_site_ends_with_its_sessions(void **unused)
{
	(void)unused;
	pair(app, "");
	act(ROUTE_SITE_ALLOW, asked()->id);
	uint64_t site = sites.v[0].id;
	fake_session(&endpoints, PAGE, 1)->session->site = site;
	route_sites(&site_routes, &context);
	assert_non_null(strstr(fake_net.body, "\"sessions\":1"));

	act(ROUTE_SITE_REVOKE, site);
	assert_int_equal(fake_net.closes, 1);
	assert_int_equal(access_setup.policy.site_count, 0);
	route_sites(&site_routes, &context);
	assert_non_null(strstr(fake_net.body, "\"sites\":[]"));
}

/* What the disk does not take back is said, for a restart would know it again. */
static void test_a_disk_that_is_lost_does_not_keep_a_site_in(void **unused)
{
	char path[SETTINGS_PATH_BYTES + 8];
	(void)unused;
	pair(app, "");
	act(ROUTE_SITE_ALLOW, asked()->id);
	snprintf(path, sizeof path, "%s/sites", paths.state_dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(paths.state_dir), 0);

	act(ROUTE_SITE_REVOKE, sites.v[0].id);
	assert_int_equal(access_setup.policy.site_count, 0);
	assert_int_not_equal(fake_net.status, 200);
	assert_non_null(strstr(fake_net.body, "it is revoked now"));
}

int main(void)
{
#define ROUTE_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ROUTE_TEST(test_health_says_when_it_stops),
		ROUTE_TEST(test_changes_are_read_from_where_one_left_off),
		ROUTE_TEST(test_a_head_of_changes_ends_at_once),
		ROUTE_TEST(test_log_lines_are_the_newest_or_those_since),
		ROUTE_TEST(test_a_status_has_an_endpoint),
		ROUTE_TEST(test_metrics_are_text),
		ROUTE_TEST(test_the_past_is_read_page_by_page),
		ROUTE_TEST(test_a_page_asks_waits_and_is_allowed_once),
		ROUTE_TEST(test_only_other_origins_ask),
		ROUTE_TEST(test_who_was_refused_asks_no_more),
		ROUTE_TEST(test_a_revoked_site_ends_with_its_sessions),
		ROUTE_TEST(test_a_disk_that_is_lost_does_not_keep_a_site_in),
	};
#undef ROUTE_TEST
	return cmocka_run_group_tests_name("server-routes", tests, NULL, NULL);
}
