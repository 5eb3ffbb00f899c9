/* Goal: a response that is made in the background keeps its turn until its server says that it is
 * made, or does not have it, and no shorter. Method: the real module beside a server that the test
 * makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "gateway/adapter.h"
#include "gateway/adapter_read.h"
#include "gateway/call.h"
#include "gateway/catalog.h"
#include "gateway/model.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"
#include "net/loop.h"

static struct {
	int rc; /* of the next call */
	unsigned calls, ended, too_long;
	const char *path;
	call_done *done;
} seen;

static const struct mono_ms now = {5000};
static struct adapter adapter;
static struct catalog catalog;
static struct model_server server;
static struct model model;
static struct relay relay;

struct mono_ms loop_now(void)
{
	return now;
}

void call_cancel(struct call *call)
{
	(void)call;
}

int catalog_call(const struct model_server *of, const struct adapter_call *what, const char *name,
		 int time_ms, call_done *done, void *ctx, struct call **ret_call)
{
	(void)of, (void)name, (void)time_ms, (void)ctx, (void)ret_call;
	seen.calls++;
	seen.path = what->path;
	seen.done = done;
	return seen.rc;
}

void relay_note_too_long(struct relay *which)
{
	(void)which;
	seen.too_long++;
}

void relay_end(struct gateway *gateway, struct relay *which, const char *outcome)
{
	(void)gateway, (void)which, (void)outcome;
	seen.ended++;
}

static int set_up(void **state)
{
	(void)state;

	memset(&seen, 0, sizeof(seen));
	adapter.read_busy = adapter_read_slots;
	server = (struct model_server){
		.catalog = &catalog, .adapter = &adapter, .silence_ms = 600 * 1000};
	model = (struct model){.server = &server};
	relay = (struct relay){
		.stage = RELAY_FORWARDED, .model = &model, .party = 1, .pending = true};
	assert_true(relay_must_settle(&relay));
	relay_settle(&relay, 90 * 1000);
	return 0;
}

/* Whether it is over by that. */
static bool ends_by(const struct call_answer *answer)
{
	unsigned before = seen.ended;

	relay_look(&relay);
	seen.done(&relay, answer);
	return seen.ended > before;
}

static bool ends_by_status(int status, const char *body)
{
	return ends_by(
		&(struct call_answer){.status = status, .body = body, .length = strlen(body)});
}

static void test_made(void **state)
{
	static const char *const bodies[] = {"{\"status\":\"completed\"}",
					     "{\"status\":\"failed\"}",
					     "{\"status\":1}",
					     "{}",
					     "",
					     "<html>",
					     "{\"output\":{\"status\":\"queued\"}}"};
	static const int unknown[] = {302, 400, 404, 405, 410};
	(void)state;

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_true(ends_by_status(200, bodies[i]));
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_true(ends_by_status(unknown[i], "{\"status\":\"queued\"}"));
	assert_true(ends_by(&(struct call_answer){.err = ERR_UPSTREAM_UNREACHABLE}));
	assert_true(ends_by(&(struct call_answer){.err = ERR_UPSTREAM_BROKEN}));
}

static void test_not_made(void **state)
{
	static const int silent[] = {401, 403, 408, 429, 500, 502, 503, 504};
	(void)state;

	assert_false(ends_by_status(200, "{\"status\":\"queued\"}"));
	assert_false(ends_by_status(200, "{\"status\":\"in_progress\"}"));
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
		assert_false(ends_by_status(silent[i], "{\"error\":{}}"));
	assert_false(ends_by(&(struct call_answer){.err = ERR_UPSTREAM_SLOW}));
}

static bool ends_by_the_beginning(int status, const char *body)
{
	return ends_by(&(struct call_answer){.err = ERR_TOO_LARGE,
					     .status = status,
					     .body = body,
					     .length = strlen(body),
					     .what = err_text(ERR_TOO_LARGE)});
}

/* One that is too long to be read may say first how it stands; else nobody knows, and the log hears
 * of it. */
static void test_too_long(void **state)
{
	(void)state;

	assert_true(ends_by_the_beginning(200, "{\"status\":\"completed\",\"output\":[\"iVBOR"));
	assert_true(ends_by_the_beginning(404, "<html>"));
	assert_false(ends_by_the_beginning(200, "{\"status\":\"queued\",\"input\":[\"iVBOR"));
	assert_int_equal(seen.too_long, 0);
	assert_false(ends_by_the_beginning(200, "{\"output\":[\"iVBOR"));
	assert_int_equal(seen.too_long, 1);
}

/* The same of one whose client left, where its server says whether it works. */
static void test_too_long_a_list(void **state)
{
	const struct mono_ms limit = relay.due;
	(void)state;

	relay.pending = false;
	assert_false(ends_by_the_beginning(200, "[{\"prompt\":\"long"));
	assert_int_equal(seen.too_long, 1);
	assert_int_equal(relay.due.v, limit.v);
	assert_true(ends_by_status(200, "[]"));
}

/* What says nothing leaves the limit where it is. */
static void test_for_how_long(void **state)
{
	const struct mono_ms limit = relay.due;
	(void)state;

	relay.due.v -= 1000;
	(void)ends_by_status(500, "");
	(void)ends_by_the_beginning(200, "{\"output\":[");
	assert_int_equal(relay.due.v, limit.v - 1000);
	(void)ends_by_status(200, "{\"status\":\"queued\"}");
	assert_int_equal(relay.due.v, limit.v);
	relay.outranked = true;
	relay_hurry(&relay, 15 * 1000);
	(void)ends_by_status(200, "{\"status\":\"queued\"}");
	assert_int_equal(relay.due.v, now.v + 13 * 1000);
}

/* As many questions are on their way as may be: it is asked later. */
static void test_cannot_be_asked(void **state)
{
	(void)state;

	seen.rc = -ERR_TOO_MANY_CONNECTIONS;
	relay_look(&relay);
	assert_int_equal(seen.ended, 0);
	assert_true(relay.look_at.v > now.v);
}

static void test_is_stopped_once(void **state)
{
	(void)state;

	relay_stop_settling(NULL, &relay);
	relay_stop_settling(NULL, &relay);
	assert_string_equal(seen.path, "/v1/responses/%s/cancel");
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.ended, 0);
	seen.done(&relay, &(struct call_answer){.status = 200, .body = ""});
	assert_int_equal(seen.ended, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_made, set_up),
		cmocka_unit_test_setup(test_not_made, set_up),
		cmocka_unit_test_setup(test_too_long, set_up),
		cmocka_unit_test_setup(test_too_long_a_list, set_up),
		cmocka_unit_test_setup(test_for_how_long, set_up),
		cmocka_unit_test_setup(test_cannot_be_asked, set_up),
		cmocka_unit_test_setup(test_is_stopped_once, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
