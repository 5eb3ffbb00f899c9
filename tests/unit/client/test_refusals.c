/* Goal: R9, C11, P3, P4: whatever a broker does or does not do, a program without a grant has no
 * lease, and is told so. Method: every refusal, silence, break and nonsense that can be thought of,
 * at hello and after acquire, each judged by the same three questions. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "fake_broker.h"

/* ---- at hello ---- */

static void no_session(int r, const struct baton *baton, int code, const char *what)
{
	if (r != code)
		fail_msg("%s: code %d (%s), expected %d", what, r, baton_error_name(r), code);
	assert_null(baton);
	assert_true(baton_exit_code(r) != 0);
}

static void cannot_connect(const struct baton_options *options, int code, const char *what)
{
	struct baton *baton = (struct baton *)1;
	int r = baton_connect(options, &baton);
	no_session(r, baton, code, what);
}

/* Nothing listens: no socket, a dead socket's file, a path that cannot be one. */
static void unreachable(void **state)
{
	struct fake fake;
	struct baton_options options;
	char long_path[300];
	(void)state;
	fake_open(&fake);
	baton_options_init(&options);
	options.socket_path = "/nowhere/baton.sock";
	cannot_connect(&options, BATON_E_UNREACHABLE, "no file");
	options.socket_path = fake.path;
	close(fake.listen_fd); /* leaves the file, as a killed daemon does */
	fake.listen_fd = -1;
	cannot_connect(&options, BATON_E_UNREACHABLE, "dead socket");
	assert_int_equal(baton_exit_code(BATON_E_UNREACHABLE), 69);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	options.socket_path = long_path;
	cannot_connect(&options, BATON_E_PATH, "long path");
	options.socket_path = "";
	cannot_connect(&options, BATON_E_PATH, "empty path");
	options.socket_path = fake.path;
	options.name = "two\nlines";
	cannot_connect(&options, BATON_E_NAME, "bad name");
	options.name = "";
	cannot_connect(&options, BATON_E_NAME, "empty name");
	options.name = NULL;
	options.connect_timeout_ms = -1;
	cannot_connect(&options, BATON_E_INVALID, "bad number");
	unlink(fake.path);
	fake_close(&fake);
}

/* Each answer to hello that is no welcome ends in its code and no session. */
static void refused_hello(void **state)
{
	static const struct {
		const char *answer;
		int code;
	} rows[] = {
		{"{'type':'close','code':4401,'reason':'token'}", BATON_E_UNAUTHORIZED},
		{"{'type':'close','code':4403,'reason':'origin'}", BATON_E_FORBIDDEN},
		{"{'type':'close','code':4409,'reason':'version'}", BATON_E_VERSION},
		{"{'type':'close','code':4429,'reason':'too many'}", BATON_E_FULL},
		{"{'type':'close','code':4503,'reason':'draining'}", BATON_E_UNAVAILABLE},
		{"{'type':'close','code':1008,'reason':'?'}", BATON_E_UNREACHABLE},
		{"{'type':'denied','code':'unauthorized','message':'m'}", BATON_E_UNAUTHORIZED},
		{"{'type':'denied','code':'forbidden','message':'m'}", BATON_E_FORBIDDEN},
		{"{'type':'denied','code':'draining','message':'m'}", BATON_E_UNAVAILABLE},
		{"{'type':'denied','code':'too_many_connections'}", BATON_E_FULL},
		{"{'type':'denied','code':'of the future'}", BATON_E_INTERNAL},
		{"{'type':'granted','ref':1,'lease':7,'fence':1,'gpus':[{'index':0}]}",
		 BATON_E_PROTOCOL},
		{"{'type':'welcome'}", BATON_E_PROTOCOL},
		{"{'type':'welcome','session':''}", BATON_E_PROTOCOL},
		{"{'type':'welcome','session':7}", BATON_E_PROTOCOL},
		{"{}", BATON_E_PROTOCOL},
		{"[]", BATON_E_PROTOCOL},
		{"HTTP/1.1 200 OK", BATON_E_PROTOCOL},
		{"", BATON_E_PROTOCOL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fake fake;
		struct baton *baton = (struct baton *)1;
		fake_open(&fake);
		const char *answer = *rows[i].answer ? rows[i].answer : " ";
		struct baton_options options;
		baton_options_init(&options);
		options.no_reconnect = true; /* else a draining broker is waited for */
		int r = fake_connect(&fake, &options, answer, &baton);
		no_session(r, baton, rows[i].code, rows[i].answer);
		assert_true(fake_is_closed(&fake));
		fake_close(&fake);
	}
}

static void *take_name(void *arg)
{
	struct fake *fake = arg;
	fake_accept(fake);
	json_t *hello = fake_take(fake, "hello");
	char *name = strdup(json_string_value(json_object_get(hello, "id")));
	assert_non_null(name);
	json_decref(hello);
	fake_send(fake, "{'type':'close','code':4403,'reason':'enough'}");
	return name;
}

/* Whatever a program's file is called, it says hello under what can be a name. */
static void names_of_programs(void **state)
{
	static const struct {
		const char *file, *name;
	} rows[] = {
		{"train", "train"},   {"two words", "two words"}, {"\u4e00", "\u4e00"},
		{"a\xff", "program"}, {"a\nb", "program"},        {"\u202e", "program"},
		{"", "program"},
	};
	char *before = program_invocation_short_name;
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fake fake;
		struct baton_options options;
		pthread_t thread;
		void *name;
		char expected[200], file[300];
		fake_open(&fake);
		baton_options_init(&options);
		options.no_reconnect = true;
		options.socket_path = fake.path;

		snprintf(file, sizeof(file), "%s", rows[i].file);
		program_invocation_short_name = file;
		assert_int_equal(pthread_create(&thread, NULL, take_name, &fake), 0);
		cannot_connect(&options, BATON_E_FORBIDDEN, rows[i].file);
		pthread_join(thread, &name);
		program_invocation_short_name = before;

		snprintf(expected, sizeof(expected), "%s-%ld", rows[i].name, (long)getpid());
		assert_string_equal(name, expected);
		free(name);
		fake_close(&fake);
	}
}

/* A listener that never answers: the deadline counts, not hope. */
static void silent_broker(void **state)
{
	struct fake fake;
	struct baton_options options;
	(void)state;
	fake_open(&fake);
	baton_options_init(&options);
	options.socket_path = fake.path;
	options.connect_timeout_ms = 30;
	cannot_connect(&options, BATON_E_TIMEOUT, "silence");
	fake_close(&fake);
}

/* ---- after acquire ---- */

struct scene {
	struct fake fake;
	struct baton *baton;
	struct baton_claim *claim;
	struct seen seen;
};

static void scene_open(struct scene *scene)
{
	struct baton_options options;
	memset(scene, 0, sizeof(*scene));
	fake_open(&scene->fake);
	baton_options_init(&options);
	options.no_reconnect = true;
	assert_int_equal(fake_connect(&scene->fake, &options, NULL, &scene->baton), 0);
	scene->claim = fake_claim(&scene->fake, scene->baton, &scene->seen);
}

static void scene_close(struct scene *scene, int code, const char *what)
{
	pump(scene->baton, &scene->seen.ended, 1);
	if (scene->seen.code != code)
		fail_msg("%s: code %d (%s), expected %d", what, scene->seen.code,
			 baton_error_name(scene->seen.code), code);
	assert_int_equal(scene->seen.granted, 0);
	assert_null(baton_claim_lease(scene->claim));
	assert_false(baton_yield_asked(scene->claim));
	assert_int_equal(baton_claim_ended(scene->claim), code);
	baton_close(scene->baton);
	fake_close(&scene->fake);
}

/* Each end of a waiting claim: no grant, its own code. */
static void refused_claim(void **state)
{
	static const struct {
		const char *answer;
		int code;
	} rows[] = {
		{"{'type':'timeout','ref':1,'lease':7}", BATON_E_TIMEOUT},
		{"{'type':'released','ref':1,'lease':7,'reason':'force-released'}",
		 BATON_E_RELEASED},
		{"{'type':'denied','ref':1,'code':'busy'}", BATON_E_BUSY},
		{"{'type':'denied','ref':1,'code':'queue_full'}", BATON_E_FULL},
		{"{'type':'denied','ref':1,'code':'quota'}", BATON_E_QUOTA},
		{"{'type':'denied','ref':1,'code':'class_not_allowed'}", BATON_E_CLASS},
		{"{'type':'denied','ref':1,'code':'no_such_gpu'}", BATON_E_NO_GPU},
		{"{'type':'denied','ref':1,'code':'never_fits'}", BATON_E_NEVER_FITS},
		{"{'type':'denied','ref':1,'code':'deadlock'}", BATON_E_DEADLOCK},
		{"{'type':'denied','ref':1,'code':'paused'}", BATON_E_UNAVAILABLE},
		{"{'type':'denied','ref':1,'code':'journal_unavailable'}", BATON_E_UNAVAILABLE},
		{"{'type':'denied','ref':1,'code':'unauthorized'}", BATON_E_UNAUTHORIZED},
		{"{'type':'denied','ref':1,'code':'rate_limited'}", BATON_E_FULL},
		{"{'type':'denied','ref':1,'code':'bad_field','detail':'d'}", BATON_E_INVALID},
		{"{'type':'denied','ref':1}", BATON_E_INTERNAL},
		{"{'type':'close','code':4401}", BATON_E_UNAUTHORIZED},
		{"{'type':'close','code':4503}", BATON_E_UNAVAILABLE},
		/* Grants that are none. */
		{"{'type':'granted','ref':1,'lease':7,'fence':5}", BATON_E_PROTOCOL},
		{"{'type':'granted','ref':1,'lease':7,'fence':5,'gpus':[]}", BATON_E_PROTOCOL},
		{"{'type':'granted','ref':1,'lease':7,'gpus':[{'index':0}]}", BATON_E_PROTOCOL},
		{"{'type':'granted','ref':1,'fence':5,'gpus':[{'index':0}]}", BATON_E_PROTOCOL},
		{"{'type':'granted','ref':1,'lease':7,'fence':-5,'gpus':[{'index':0}]}",
		 BATON_E_PROTOCOL},
		{"{'type':'offered','ref':1,'fence':5}", BATON_E_PROTOCOL},
		{"{'type':'welcome','session':'9-x'}", BATON_E_PROTOCOL},
		{"nonsense", BATON_E_PROTOCOL},
		{"{'type':'queued','ref':1", BATON_E_PROTOCOL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct scene scene;
		scene_open(&scene);
		fake_send(&scene.fake, "%s", rows[i].answer);
		scene_close(&scene, rows[i].code, rows[i].answer);
	}
}

/* The connection ends at each point before the grant: nothing was granted. */
static void broken_claim(void **state)
{
	static const char *const before[] = {
		NULL,
		"{'type':'queued','ref':1,'lease':7,'position':0}",
		"{'type':'offered','ref':1,'lease':7,'fence':5}",
		"{'type':'yield','lease':7,'reason':'preempted','grace_ms':100}",
		"{'type':'revoked','lease':7,'reason':'operator'}",
		"{'type':'renewed','lease':7}",
		"{'type':'of the future','ref':1,'lease':7,'fence':5}",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++) {
		struct scene scene;
		scene_open(&scene);
		if (before[i])
			fake_send(&scene.fake, "%s", before[i]);
		fake_hang_up(&scene.fake);
		scene_close(&scene, BATON_E_UNREACHABLE, before[i] ? before[i] : "hang-up");
	}
}

/* Half a line, a line without end, a flood of bytes: the connection goes, no lease comes. */
static void endless_line(void **state)
{
	static char bytes[LIMIT_FRAME_BYTES + 100];
	struct scene scene;
	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	scene_open(&scene);
	fake_send_bytes(&scene.fake, bytes, sizeof(bytes));
	scene_close(&scene, BATON_E_PROTOCOL, "endless line");
}

/* A grant of a claim that nobody asked for goes straight back. */
static void unasked_grant(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene);
	fake_send(&scene.fake,
		  "{'type':'granted','ref':9,'lease':77,'fence':5,'gpus':[{'index':0}]}");
	baton_dispatch(scene.baton, 0);
	assert_int_equal(fake_expect(&scene.fake, "release"), 77);
	fake_send(&scene.fake, "{'type':'offered','ref':9,'lease':77,'fence':5}");
	baton_dispatch(scene.baton, 0);
	assert_int_equal(fake_expect(&scene.fake, "cancel"), 9);
	fake_send(&scene.fake, "{'type':'timeout','ref':1}");
	scene_close(&scene, BATON_E_TIMEOUT, "unasked grant");
}

/* An offer is no lease: only `granted` is. */
static void offer_is_no_lease(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene);
	fake_send(&scene.fake,
		  "{'type':'offered','ref':1,'lease':7,'fence':5,'gpus':[{'index':0}]}");
	baton_dispatch(scene.baton, 0);
	assert_int_equal(fake_expect(&scene.fake, "accept"), 7);
	assert_null(baton_claim_lease(scene.claim));
	fake_send(&scene.fake, "{'type':'denied','lease':7,'code':'stale'}");
	fake_send(&scene.fake, "{'type':'queued','ref':1,'lease':7,'position':0}");
	pump(scene.baton, &scene.seen.queued, 1);
	fake_send(&scene.fake, "{'type':'timeout','ref':1}");
	scene_close(&scene, BATON_E_TIMEOUT, "withdrawn offer");
}

/* After a cancel nothing can make it a lease any more, not even a grant that crossed it. */
static void grant_after_cancel(void **state)
{
	struct scene scene;
	(void)state;
	scene_open(&scene);
	assert_int_equal(baton_cancel(scene.claim), 0);
	assert_int_equal(fake_expect(&scene.fake, "cancel"), 1);
	fake_send(&scene.fake,
		  "{'type':'granted','ref':1,'lease':7,'fence':5,'gpus':[{'index':0}]}");
	baton_dispatch(scene.baton, 0);
	assert_int_equal(fake_expect(&scene.fake, "release"), 7);
	assert_int_equal(baton_cancel(scene.claim), BATON_E_STATE);
	scene_close(&scene, BATON_E_CANCELLED, "cancelled");
}

/* baton_acquire_wait: any end but a grant leaves a NULL claim. */
static void blocking_call_fails_closed(void **state)
{
	struct fake fake;
	struct baton_options options;
	struct baton_request request;
	struct baton *baton;
	struct baton_claim *claim = (struct baton_claim *)1;
	(void)state;
	fake_open(&fake);
	baton_options_init(&options);
	options.no_reconnect = true;
	assert_int_equal(fake_connect(&fake, &options, NULL, &baton), 0);
	baton_request_init(&request);
	fake_send(&fake, "{'type':'timeout','ref':1}");
	assert_int_equal(baton_acquire_wait(baton, &request, &claim), BATON_E_TIMEOUT);
	assert_null(claim);
	claim = (struct baton_claim *)1;
	fake_send(&fake, "{'type':'denied','ref':2,'code':'busy'}");
	assert_int_equal(baton_acquire_wait(baton, &request, &claim), BATON_E_BUSY);
	assert_null(claim);
	claim = (struct baton_claim *)1;
	fake_hang_up(&fake);
	assert_int_equal(baton_acquire_wait(baton, &request, &claim), BATON_E_UNREACHABLE);
	assert_null(claim);
	/* The session is over for good: so is every later call. */
	claim = (struct baton_claim *)1;
	assert_int_equal(baton_acquire_wait(baton, &request, &claim), BATON_E_UNREACHABLE);
	assert_null(claim);
	assert_int_equal(baton_dispatch(baton, 0), BATON_E_UNREACHABLE);
	baton_close(baton);
	fake_close(&fake);
}

/* Our own deadline holds even when the broker forgets it. */
static void own_deadline(void **state)
{
	struct fake fake;
	struct seen seen = {0};
	struct baton_claim_handlers handlers;
	struct baton_request request;
	struct baton *baton;
	struct baton_claim *claim;
	(void)state;
	fake_open(&fake);
	assert_int_equal(fake_connect(&fake, NULL, NULL, &baton), 0);
	seen_handlers(&handlers);
	baton_request_init(&request);
	request.handlers = &handlers;
	request.ctx = &seen;
	request.timeout_ms = 1;
	assert_int_equal(baton_acquire(baton, &request, &claim), 0);
	pump(baton, &seen.ended, 1);
	assert_int_equal(seen.code, BATON_E_TIMEOUT);
	fake_expect(&fake, "acquire");
	fake_expect(&fake, "cancel");
	baton_close(baton);
	fake_close(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unreachable),
		cmocka_unit_test(refused_hello),
		cmocka_unit_test(names_of_programs),
		cmocka_unit_test(silent_broker),
		cmocka_unit_test(refused_claim),
		cmocka_unit_test(broken_claim),
		cmocka_unit_test(endless_line),
		cmocka_unit_test(unasked_grant),
		cmocka_unit_test(offer_is_no_lease),
		cmocka_unit_test(grant_after_cancel),
		cmocka_unit_test(blocking_call_fails_closed),
		cmocka_unit_test(own_deadline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
