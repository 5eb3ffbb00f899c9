/* Goal: of a server that has one model at a time, one of its models has the place, from its load
 * until it has left; what waits for it loads nothing, and is not loading. Method: the real
 * residences; leases are granted and servers answer where the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "residence_scene.h"

enum { POLL_MS = 250 };

static const char kobold_asked[] = "/api/v1/model", kobold_told[] = "/api/admin/reload_config";
static const char tabby_asked[] = "/v1/model";
static const char tabby_none[] = "{\"detail\":\"No models are currently loaded.\"}";
static struct model *a, *b;

static void begin(const char *kind)
{
	scene_begin(kind, false, (const char *const[]){"a", "b", NULL});
	a = scene_model("a");
	b = scene_model("b");
}

static void tell_to_load(const char *name)
{
	scene_answer(kobold_asked, 200, "{\"result\":\"inactive\"}");
	scene_answer(kobold_told, 200, "{\"success\":true}");
	scene_answer(kobold_asked, 200, name);
}

/* The first one is ready, and the other one waits for its place. */
static void begin_contended(void)
{
	begin("koboldcpp");
	scene.wanted = true;
	scene_want(a);
	scene_news(a, 5, SEND_GRANTED, CLAIM_LOADING);
	tell_to_load("{\"result\":\"koboldcpp/a\"}");
	assert_int_equal(a->residence, RESIDENCE_READY);

	scene_want(b);
	scene_news(b, 6, SEND_GRANTED, CLAIM_LOADING);
	assert_true(b->awaits_place);
	assert_string_equal(scene.asked_path, "");
}

/* Its server restarts once the first one has left: that time begins there, and so does its load's.
 * What runs meanwhile has finish_ms, and no longer. */
static void test_a_long_wait(void **state)
{
	(void)state;
	begin_contended();
	for (int64_t ms = 0; ms < 60 * 1000; ms += POLL_MS)
		scene_pass(POLL_MS);
	assert_int_equal(a->residence, RESIDENCE_READY); /* it is wanted, and has not worked yet */

	a->worked = true;
	a->running = 1;
	scene_pass(POLL_MS);
	assert_int_equal(a->residence, RESIDENCE_LEAVING);
	assert_int_equal(mono_since(a->due, scene.now), SCENE_FINISH_MS);
	a->running = 0;
	residence_worked(&scene.residences, a, scene.now);
	scene_answer(kobold_asked, 0, NULL);
	assert_int_equal(a->residence, RESIDENCE_NONE);

	for (int64_t ms = 0; ms < 20 * 1000; ms += POLL_MS) {
		scene_pass(POLL_MS);
		scene_answer(kobold_asked, 0, NULL);
		assert_int_equal(b->failures, 0);
	}
	scene_pass(POLL_MS);
	tell_to_load("{\"result\":\"koboldcpp/b\"}");
	assert_int_equal(b->residence, RESIDENCE_READY);
	assert_in_range(b->load_ms, 1, 30 * 1000);
	scene_end();
}

/* It says that it unloads, and does not. */
static void test_what_does_not_leave(void **state)
{
	int64_t ms = 0;
	(void)state;
	begin("koboldcpp");
	scene_want(a);
	scene_news(a, 5, SEND_GRANTED, CLAIM_LOADING);
	for (; ms < SCENE_UNLOAD_MS; ms += POLL_MS) {
		scene_answer(kobold_asked, 200, "{\"result\":\"koboldcpp/x\"}");
		scene_answer(kobold_told, 200, "{\"success\":true}");
		assert_int_equal(a->failures, 0);
		scene_pass(POLL_MS);
	}
	scene_answer(kobold_asked, 200, "{\"result\":\"koboldcpp/x\"}");
	assert_int_equal(a->failures, 1);
	assert_int_equal(residence_want(&scene.residences, a, &scene_somebody, scene.now),
			 -ERR_MODEL_FAILED);
	scene_end();
}

/* Somebody has loaded another one past Baton, which answers in its name. */
static void test_exchanged_while_it_works(void **state)
{
	(void)state;
	begin("koboldcpp");
	scene_want(a);
	scene_news(a, 5, SEND_GRANTED, CLAIM_LOADING);
	tell_to_load("{\"result\":\"koboldcpp/a\"}");
	for (int i = 0; i < 29; i++) { /* one after the other */
		scene_pass(1000);
		residence_worked(&scene.residences, a, scene.now);
	}
	a->running = 1;
	scene_pass(1000);
	scene_answer(kobold_asked, 200, "{\"result\":\"koboldcpp/a\"}");
	assert_false(a->leaves);
	scene_pass(30 * 1000);
	scene_answer(kobold_asked, 200, "{\"result\":\"koboldcpp/x\"}");
	assert_true(a->leaves);
	assert_int_equal(a->residence, RESIDENCE_READY);
	a->running = 0;
	residence_worked(&scene.residences, a, scene.now);
	scene_answer(kobold_asked, 200, "{\"result\":\"koboldcpp/x\"}");
	scene_answer(kobold_told, 200, "{\"success\":true}");
	scene_pass(POLL_MS);
	scene_answer(kobold_asked, 200, "{\"result\":\"inactive\"}");
	assert_int_equal(a->residence, RESIDENCE_NONE);
	scene_end();
}

static void test_not_wanted_any_more(void **state)
{
	(void)state;
	begin_contended();
	residence_unwanted(&scene.residences, b);
	assert_int_equal(b->residence, RESIDENCE_NONE);
	assert_int_equal(scene.releases, 1);
	scene.wanted = false;
	scene_pass(POLL_MS);
	assert_int_equal(a->residence, RESIDENCE_READY);
	assert_string_equal(scene.asked_path, "");
	scene_end();
}

/* A load that ended with the last broker may come, unless the place is another one's. */
static void test_loads_of_the_last_broker(void **state)
{
	(void)state;
	begin("tabbyapi");
	assert_true(scene_resume(a, 5));
	assert_true(scene_resume(b, 6));
	uint64_t party = b->party;
	scene_news(b, 6, SEND_GRANTED, CLAIM_LOADING);
	scene_answer(tabby_asked, 200, "{\"id\":\"a\"}");
	assert_int_equal(scene.released, party);
	assert_int_equal(b->residence, RESIDENCE_NONE);
	scene_news(a, 5, SEND_GRANTED, CLAIM_HELD);
	scene_answer(tabby_asked, 200, "{\"id\":\"a\"}");
	assert_int_equal(a->residence, RESIDENCE_READY);
	scene_end();

	begin("tabbyapi");
	assert_true(scene_resume(b, 6));
	scene_news(b, 6, SEND_GRANTED, CLAIM_LOADING);
	for (int i = 0; i < 3; i++) {
		scene_answer(tabby_asked, 503, tabby_none);
		assert_int_equal(scene.releases, 0);
		scene_pass(POLL_MS);
	}
	scene_answer(tabby_asked, 200, "{\"id\":\"b\"}");
	scene_answer("/v1/model/unload", 200, "");
	scene_pass(POLL_MS);
	scene_answer(tabby_asked, 503, tabby_none);
	assert_int_equal(scene.releases, 1);
	scene_end();
}

/* What the last broker had brought in leaves before another one is loaded. */
static void test_ready_since_the_last_broker(void **state)
{
	(void)state;
	begin("tabbyapi");
	assert_true(scene_resume(a, 5));
	scene_news(a, 5, SEND_GRANTED, CLAIM_HELD);
	scene_answer(tabby_asked, 200, "{\"id\":\"a\"}");
	a->running = 1;
	scene_want(b);
	scene_news(b, 6, SEND_GRANTED, CLAIM_LOADING);
	assert_int_equal(a->residence, RESIDENCE_LEAVING);
	assert_string_equal(scene.asked_path, "");
	a->running = 0;
	residence_worked(&scene.residences, a, scene.now);
	scene_answer(tabby_asked, 200, "{\"id\":\"a\"}");
	scene_answer("/v1/model/unload", 200, "");
	scene_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_long_wait),
		cmocka_unit_test(test_what_does_not_leave),
		cmocka_unit_test(test_exchanged_while_it_works),
		cmocka_unit_test(test_not_wanted_any_more),
		cmocka_unit_test(test_loads_of_the_last_broker),
		cmocka_unit_test(test_ready_since_the_last_broker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
