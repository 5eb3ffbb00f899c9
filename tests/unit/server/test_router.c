/* Goal: a request reaches the handler of its route, on that handler's part, once access has let it
 * in; every other one is answered here. Method: the real table and the real access; the handlers
 * only note that they were called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "base/log.h"
#include "fake_net.h"
#include "net/http.h"
#include "net/loop.h"
#include "server/access/access_setup.h"
#include "server/http/config_route.h"
#include "server/http/exchanges.h"
#include "server/http/history.h"
#include "server/http/key_routes.h"
#include "server/http/monitoring_routes.h"
#include "server/http/page_routes.h"
#include "server/http/router.h"
#include "server/http/site_routes.h"
#include "server/inference/inference.h"
#include "server/inference/worker_sockets.h"
#include "server/pages/pages.h"
#include "server/reload.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "server/session/greeting.h"

#define TOKEN "the-install-token"

static struct {
	const char *handler;
	const void *part;
	struct route_match match;
} called;

static void note_call(const char *handler, const void *part, const struct request_context *context)
{
	assert_null(called.handler);
	called.handler = handler;
	called.part = part;
	called.match = context->verdict.match;
}

#define HANDLER(name, type)                                                                        \
	void name(type *part, const struct request_context *context)                               \
	{                                                                                          \
		note_call(#name, part, context);                                                   \
	}
HANDLER(route_lock, struct exchanges)
HANDLER(route_unlock, struct exchanges)
HANDLER(route_renew, struct exchanges)
HANDLER(route_session_alive, struct exchanges)
HANDLER(route_admin, struct exchanges)
HANDLER(route_status, struct monitoring_routes)
HANDLER(route_events, struct monitoring_routes)
HANDLER(route_health, struct monitoring_routes)
HANDLER(route_metrics, struct monitoring_routes)
HANDLER(route_logs, struct monitoring_routes)
HANDLER(route_logs_clear, struct monitoring_routes)
HANDLER(route_history, struct monitoring_routes)
HANDLER(route_page, struct pages)
HANDLER(inference_request, struct inference)
HANDLER(inference_response, struct inference)
HANDLER(inference_models, struct inference)
HANDLER(inference_status, struct inference)
HANDLER(inference_no_realtime, struct inference)
HANDLER(worker_sockets_open, struct worker_sockets)
HANDLER(route_file, struct pages)
HANDLER(route_pair, struct site_routes)
HANDLER(route_sites, struct site_routes)
HANDLER(route_site_act, struct site_routes)
HANDLER(route_keys, struct key_routes)
HANDLER(route_key_new, struct key_routes)
HANDLER(route_key_revoke, struct key_routes)
HANDLER(route_reload, struct reload)
HANDLER(greeting_open_websocket, const struct greeting)

bool pages_lead(struct pages *part, const struct request_context *context)
{
	if (strcmp(context->request->path, "/dashboard") != 0)
		return false;
	note_call("pages_lead", part, context);
	return true;
}
#undef HANDLER

static struct exchanges exchanges;
static struct monitoring_routes monitoring;
static struct pages pages;
static struct site_routes sites;
static struct key_routes keys;
static struct greeting greeting;
static struct reload config;
static struct access_setup access_setup;
static struct run_state state;
static struct log logger;
static unsigned lines;
static const char *const hosts[] = {"127.0.0.1:8470"};
static const struct router router = {
	.access = &access_setup,
	.state = &state,
	.log = &logger,
	.parts = {&exchanges, &monitoring, &pages, &sites, &keys, &greeting, &config},
};

static void count_line(void *ctx, const struct log_line *line)
{
	(void)ctx;
	(void)line;
	lines++;
}

static int set_up(void **unused)
{
	(void)unused;
	fake_net_reset();
	memset(&called, 0, sizeof called);
	memset(&access_setup, 0, sizeof access_setup);
	access_setup_init(&access_setup, false);
	access_setup.policy.hosts = hosts;
	access_setup.policy.host_count = 1;
	memcpy(access_setup.token, TOKEN, sizeof TOKEN);
	state = (struct run_state){0};
	lines = 0;
	log_init(&logger, LOG_INFO, -1, loop_wall_now);
	log_set_sink(&logger, count_line, NULL);
	return 0;
}

static struct http_request request_of(const char *method, const char *path, const char *token)
{
	return (struct http_request){.conn = 7,
				     .method = method,
				     .path = path,
				     .query = "",
				     .host = hosts[0],
				     .authorization = token,
				     .body = "",
				     .peer.uid = -1};
}

static void ask(const char *method, const char *path, const char *token)
{
	const struct http_request request = request_of(method, path, token);
	called.handler = NULL;
	router_on_request(&router, &request);
}

static void assert_called(const char *handler, const void *part)
{
	assert_non_null(called.handler);
	assert_string_equal(called.handler, handler);
	assert_ptr_equal(called.part, part);
}

static void test_a_request_reaches_its_handler(void **unused)
{
	(void)unused;
	ask("POST", "/v1/gpu/lock", "Bearer " TOKEN);
	assert_called("route_lock", &exchanges);
	ask("GET", "/v1/gpu/history", "Bearer " TOKEN);
	assert_called("route_history", &monitoring);
	ask("GET", "/sdk/index.js", NULL);
	assert_called("route_file", &pages);
	ask("GET", "/health", NULL);
	assert_called("route_health", &monitoring);
	ask("GET", "/v1/gpu/session", NULL);
	assert_called("greeting_open_websocket", &greeting);
	assert_int_equal(state.requests, 5);
	assert_int_equal(fake_net.replies, 0);
}

/* Who types a page's name wants to see it, whoever it is; a program hears what it always did. */
static void test_a_name_typed_by_hand_leads_to_its_page(void **unused)
{
	struct http_request typed = request_of("GET", "/dashboard", NULL);

	(void)unused;
	typed.accept = "text/html";
	router_on_request(&router, &typed);
	assert_called("pages_lead", &pages);
	assert_int_equal(fake_net.replies, 0);
	called.handler = NULL;

	typed.path = "/nowhere";
	router_on_request(&router, &typed);
	assert_int_equal(fake_net.status, 401);
	typed.path = "/dashboard";
	typed.host = "evil.example";
	router_on_request(&router, &typed);
	assert_int_equal(fake_net.status, 403);
	ask("GET", "/dashboard", "Bearer " TOKEN);
	assert_int_equal(fake_net.status, 404);
	ask("GET", "/dashboard", NULL);
	assert_int_equal(fake_net.status, 401);
	assert_null(called.handler);
}

static void test_an_operators_act_has_its_number(void **unused)
{
	(void)unused;
	memcpy(access_setup.admin_token, "root", 5);
	ask("POST", "/v1/sites/42/revoke", "Bearer root");
	assert_called("route_site_act", &sites);
	assert_int_equal(called.match.lease, 42);
	assert_int_equal(called.match.route->id, ROUTE_SITE_REVOKE);
	ask("POST", "/v1/keys", "Bearer root");
	assert_called("route_key_new", &keys);
	ask("GET", "/v1/keys", "Bearer root");
	assert_called("route_keys", &keys);
	ask("POST", "/v1/hot-reload", "Bearer root");
	assert_called("route_reload", &config);
}

static void test_who_may_not_is_told_why(void **unused)
{
	(void)unused;
	ask("POST", "/v1/gpu/lock", NULL);
	assert_int_equal(fake_net.status, 401);
	assert_non_null(strstr(fake_net.headers, "WWW-Authenticate: Bearer"));
	ask("POST", "/v1/gpu/reset", "Bearer " TOKEN);
	assert_int_equal(fake_net.status, 403);
	ask("GET", "/nowhere", "Bearer " TOKEN);
	assert_int_equal(fake_net.status, 404);
	ask("POST", "/health", "Bearer " TOKEN);
	assert_int_equal(fake_net.status, 405);
	assert_non_null(strstr(fake_net.headers, "Allow: GET, HEAD"));
	assert_null(called.handler);
}

/* A flood of wrong tokens fills no log. */
static void test_wrong_tokens_are_counted(void **unused)
{
	(void)unused;
	for (int i = 0; i < 30; i++)
		ask("POST", "/v1/gpu/lock", "Bearer wrong");
	assert_int_equal(fake_net.status, 429);
	assert_int_equal(lines, 20);
	ask("POST", "/v1/gpu/lock", "Bearer " TOKEN); /* the right one always works */
	assert_called("route_lock", &exchanges);
}

static void test_a_preflight_is_answered_here(void **unused)
{
	struct http_request request = request_of("OPTIONS", "/v1/gpu/lock", NULL);
	(void)unused;
	request.origin = "http://127.0.0.1:8470";
	router_on_request(&router, &request);
	assert_int_equal(fake_net.status, 204);
	assert_non_null(strstr(fake_net.headers, "Access-Control-Allow-Origin"));
	assert_null(called.handler);
}

/* The last connections are for what frees something, or shows what is wrong. */
static void test_the_last_connections_are_for_a_few_routes(void **unused)
{
	struct http_request request = request_of("POST", "/v1/gpu/lock", "Bearer " TOKEN);
	(void)unused;
	request.reserved = true;
	router_on_request(&router, &request);
	assert_int_equal(fake_net.status, 503);
	assert_null(called.handler);
	request.path = "/v1/gpu/unlock";
	router_on_request(&router, &request);
	assert_called("route_unlock", &exchanges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_request_reaches_its_handler, set_up),
		cmocka_unit_test_setup(test_a_name_typed_by_hand_leads_to_its_page, set_up),
		cmocka_unit_test_setup(test_an_operators_act_has_its_number, set_up),
		cmocka_unit_test_setup(test_who_may_not_is_told_why, set_up),
		cmocka_unit_test_setup(test_wrong_tokens_are_counted, set_up),
		cmocka_unit_test_setup(test_a_preflight_is_answered_here, set_up),
		cmocka_unit_test_setup(test_the_last_connections_are_for_a_few_routes, set_up),
	};
	return cmocka_run_group_tests_name("server-router", tests, NULL, NULL);
}
