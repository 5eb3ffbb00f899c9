/* Goal: the models that can be asked for are those that a server has now, and what waits for a
 * model's memory has waited since somebody wanted it first. Method: the real catalog and
 * residences; servers answer, and leases are asked, where the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "gateway/gateway_impl.h"
#include "gateway/lease_port.h"
#include "gateway/model.h"
#include "gateway/model_list.h"
#include "net/http_reply.h"
#include "net/loop.h"

enum { CONN = 7 };

/* ---- what stands outside ---- */

struct call {
	call_done *done;
	void *ctx;
};

static struct {
	struct mono_ms now;
	struct call calls[8]; /* the newest of each server; in the order of their first */
	unsigned call_count;
	struct lease_ask asked; /* the last one */
	unsigned asks, gone;
	char body[1024];
} seen;

int call_start(struct upstream *upstream, const struct call_question *question, call_done *done,
	       void *ctx, struct call **ret_call)
{
	unsigned at = 0;
	(void)upstream, (void)question;

	while (at < seen.call_count && seen.calls[at].ctx != ctx)
		at++;
	seen.call_count += at == seen.call_count;
	seen.calls[at] = (struct call){done, ctx};
	*ret_call = &seen.calls[at];
	return 0;
}

void call_cancel(struct call *call)
{
	(void)call;
}

struct mono_ms loop_now(void)
{
	return seen.now;
}

struct wall_ms loop_wall_now(void)
{
	return (struct wall_ms){1764400000000};
}

void http_reply(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		size_t header_count, const char *body, size_t body_length)
{
	(void)net, (void)conn, (void)status, (void)headers, (void)header_count;
	assert_true(body_length < sizeof(seen.body));
	memcpy(seen.body, body, body_length);
	seen.body[body_length] = '\0';
}

static void on_acquire(void *ctx, const struct lease_ask *ask)
{
	(void)ctx;
	seen.asked = *ask;
	seen.asks++;
}

static void on_gone(void *ctx, uint64_t party)
{
	(void)ctx, (void)party;
	seen.gone++;
}

static void on_lists(void *ctx)
{
	(void)ctx;
}

static void on_model(void *ctx, struct model *model)
{
	(void)ctx, (void)model;
}

/* ---- two servers ---- */

static const struct lease_port port = {.acquire = on_acquire, .gone = on_gone};
static struct gateway gateway;
static const struct gateway_client client = {.principal = "token", .name = "test"};

static int set_up(void **state)
{
	static const struct gateway_server_config servers[] = {
		{.name = "one", .kind = "openai", .url = "", .on_gpu = true, .vram_bytes = 1 << 30},
		{.name = "two", .kind = "openai", .url = "", .on_gpu = true, .vram_bytes = 1 << 30},
	};
	(void)state;

	memset(&seen, 0, sizeof(seen));
	seen.now.v = 100 * 1000;
	gateway = (struct gateway){.port = &port};
	list_init(&gateway.relays);
	list_init(&gateway.proxies);
	list_init(&gateway.proxied);
	catalog_init(&gateway.catalog, NULL, on_lists, &gateway);
	gateway.catalog.residences = &gateway.residences;
	gateway.residences = (struct residences){.catalog = &gateway.catalog,
						 .port = &port,
						 .switches = &gateway.switches,
						 .party_next = LEASE_PARTY_FIRST + 1,
						 .on_change = on_model};
	list_init(&gateway.residences.kept);
	for (size_t i = 0; i < 2; i++)
		catalog_add(&gateway.catalog, &servers[i]);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	catalog_finish(&gateway.catalog);
	return 0;
}

/* Both lists are asked for, and answered. */
static void list_models(const char *one, const char *two)
{
	const char *const bodies[] = {one, two};

	seen.now = mono_after(seen.now, CATALOG_LIST_AGE_MS);
	assert_true(catalog_refresh(&gateway.catalog, seen.now));
	for (unsigned i = 0; i < 2; i++) {
		const struct call_answer answer = {
			.status = 200, .body = bodies[i], .length = strlen(bodies[i])};
		seen.calls[i].done(seen.calls[i].ctx, &answer);
	}
	assert_false(catalog_pending(&gateway.catalog));
}

static struct model *find(const char *name)
{
	return catalog_find(&gateway.catalog, &(struct catalog_wish){.name = name});
}

static void test_what_a_server_has_no_more_hides_nothing(void **state)
{
	cleanup_text struct text near = {0};
	(void)state;

	list_models("{\"data\":[{\"id\":\"both\"},{\"id\":\"old\"}]}",
		    "{\"data\":[{\"id\":\"both\"}]}");
	assert_string_equal(find("both")->server->name, "one");
	list_models("{\"data\":[]}", "{\"data\":[{\"id\":\"both\"}]}");

	assert_string_equal(find("both")->server->name, "two");
	gateway_models(&gateway, CONN, API_OPENAI, NULL, &client);
	assert_non_null(strstr(seen.body, "\"both\""));
	assert_null(strstr(seen.body, "\"old\""));
	catalog_nearest(&gateway.catalog, &(struct catalog_wish){.name = "older"}, &near);
	assert_int_equal(near.length, 0);
}

/* Whoever is of a higher class asks anew for all, with all the time that was waited. */
static void test_a_higher_class_takes_over_the_wait(void **state)
{
	static const enum lease_class classes[] = {LEASE_BACKGROUND, LEASE_CHAT, LEASE_VOICE};
	struct model *model;
	(void)state;

	list_models("{\"data\":[{\"id\":\"m\"}]}", "{\"data\":[]}");
	model = find("m");
	for (unsigned i = 0; i < 3; i++) {
		const struct switch_cause cause = {"client", "key:a", classes[i]};
		assert_int_equal(residence_want(&gateway.residences, model, &cause, seen.now), 0);
		assert_int_equal(seen.asks, i + 1);
		assert_int_equal(seen.gone, i);
		assert_int_equal(seen.asked.cls, classes[i]);
		assert_int_equal(seen.asked.waited_ms, i * 1000);
		seen.now = mono_after(seen.now, 1000);
	}

	const struct switch_cause chat = {"client", "key:a", LEASE_CHAT};
	assert_int_equal(residence_want(&gateway.residences, model, &chat, seen.now), 0);
	assert_int_equal(seen.asks, 3); /* that of a voice stands for it, too */
}

/* A tab has no address to be asked at: it says by itself what it has, and is found by what it can.
 */
static void test_tabs_are_found_and_never_asked(void **state)
{
	static char tab;
	struct model_server *server;
	struct model *model;
	struct catalog_wish wish = {.name = "m", .principal = "key:a"};
	(void)state;

	list_models("{\"data\":[{\"id\":\"m\"}]}", "{\"data\":[]}");
	server = catalog_add_worker(&gateway.catalog, (struct worker *)(void *)&tab, "tab:t",
				    "key:a");
	server->concurrency = 1;
	catalog_offer(server,
		      &(struct catalog_offer){.name = "m",
					      .routes = api_route_bit(api_route_of("/v1/messages")),
					      .loaded = true});
	model = catalog_find(&gateway.catalog, &wish);
	assert_ptr_equal(model->server, server); /* it is in memory there */

	wish.principal = "token";
	assert_string_equal(catalog_find(&gateway.catalog, &wish)->server->name, "one");
	wish.principal = "key:a";
	wish.route = api_route_of("/v1/embeddings");
	assert_string_equal(catalog_find(&gateway.catalog, &wish)->server->name, "one");
	wish.route = api_route_of("/v1/messages");
	server->running = 1;
	assert_string_equal(catalog_find(&gateway.catalog, &wish)->server->name, "one");
	server->running = 0;

	residence_worked(&gateway.residences, model, seen.now);
	residence_tick(&gateway.residences, mono_after(seen.now, 3600 * 1000));
	assert_int_equal(model->due.v, MONO_NEVER.v);
	seen.now = mono_after(seen.now, CATALOG_LIST_AGE_MS);
	assert_int_equal(seen.call_count, 2);

	gateway_models(&gateway, CONN, API_OPENAI, NULL,
		       &(struct gateway_client){.principal = "token", .name = "test"});
	assert_null(strstr(seen.body, "tab:t"));
	catalog_remove(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_a_server_has_no_more_hides_nothing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_higher_class_takes_over_the_wait, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_tabs_are_found_and_never_asked, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
