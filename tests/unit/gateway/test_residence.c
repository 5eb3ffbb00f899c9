/* Goal: what a model's claim keeps is given back when its server has given the memory back, and not
 * before: by what the server says that it has, by its end, or after unload_ms_max. Method: the real
 * residences; leases are granted and servers answer where the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "residence_scene.h"

static const char loaded_m[] = "{\"models\":[{\"name\":\"m:latest\",\"size_vram\":7}]}";
static const char loaded_none[] = "{\"models\":[]}";
static struct model *model;

static void begin(const char *kind, bool command)
{
	scene_begin(kind, command, (const char *const[]){"m", NULL});
	model = scene_model("m");
}

static void news_of_state(enum send_kind msg, enum claim_state state)
{
	scene_news(model, 5, msg, state);
}

static void news(enum send_kind msg)
{
	news_of_state(msg, CLAIM_HELD);
}

/* The call's own limit is over. */
static void answer_slowly(const char *path)
{
	scene.mute = true;
	scene_answer(path, 0, NULL);
	scene.mute = false;
}

static bool resume(uint64_t lease)
{
	return scene_resume(model, lease);
}

static void become_ready(void)
{
	assert_int_equal(residence_want(&scene.residences, model, &scene_somebody, scene.now), 0);
	news(SEND_GRANTED);
	scene_answer("/api/generate", 200, "{}");
	scene_answer("/api/ps", 200, loaded_m);
	assert_int_equal(model->residence, RESIDENCE_READY);
	assert_int_equal(scene.readies, 0); /* before those who wait for it have asked for turns */
	residence_told(&scene.residences, model);
	residence_told(&scene.residences, model);
	assert_int_equal(scene.readies, 1);
}

static void test_given_back_once_it_is_gone(void **state)
{
	(void)state;
	begin("ollama", false);
	become_ready();
	news(SEND_REVOKED);
	scene_answer("/api/generate", 200, "{}");
	scene_answer("/api/ps", 200, loaded_m);
	assert_int_equal(scene.releases, 0);
	scene_pass(1000);
	scene_answer("/api/generate", 200, "{}");
	scene_answer("/api/ps", 200, loaded_none);
	assert_int_equal(scene.releases, 1);
	assert_int_equal(model->residence, RESIDENCE_NONE);
	scene_end();
}

/* However it refuses: it is asked again, and what it has counts as free in the end. */
static void test_one_that_never_unloads(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		begin("ollama", false);
		become_ready();
		scene.full = way == 2;
		news(SEND_REVOKED);
		for (int64_t ms = 0; ms < SCENE_UNLOAD_MS; ms += 1000) {
			if (way < 2) {
				scene_answer("/api/generate", way == 0 ? 200 : 500, "{}");
				scene_answer("/api/ps", way == 0 ? 200 : 500,
					     way == 0 ? loaded_m : "<html>");
			}
			assert_int_equal(scene.releases, 0);
			assert_int_equal(model->residence, RESIDENCE_UNLOADING);
			scene_pass(1000);
		}
		if (way < 2) {
			scene_answer("/api/generate", 200, "{}");
			scene_answer("/api/ps", 200, loaded_m);
		}
		assert_int_equal(scene.releases, 1);
		scene_end();
	}
}

/* A load that nobody hears of any more may still come: cut off by the claim's end, by its own
 * limit, or with the last broker. */
static void test_a_load_that_comes_late(void **state)
{
	(void)state;
	for (int way = 0; way < 4; way++) {
		begin("ollama", false);
		if (way == 3) {
			resume(5);
		} else {
			assert_int_equal(residence_want(&scene.residences, model, &scene_somebody,
							scene.now),
					 0);
			news(SEND_GRANTED);
		}
		if (way == 0)
			news(SEND_REVOKED);
		else if (way == 1)
			news(SEND_YIELD);
		else if (way == 2)
			answer_slowly("/api/generate");
		else
			news_of_state(SEND_GRANTED, CLAIM_LOADING);

		for (int64_t ms = 0; ms < 5000; ms += 1000) {
			scene_answer("/api/ps", 200, loaded_none);
			assert_int_equal(scene.releases, 0);
			scene_pass(1000);
		}
		scene_answer("/api/ps", 200, loaded_m);
		assert_int_equal(scene.releases, 0);
		scene_pass(1000);
		scene_answer("/api/generate", 200, "{}");
		scene_answer("/api/ps", 200, loaded_none);
		assert_int_equal(scene.releases, 1);
		assert_false(model->load_pending);
		scene_end();
	}
}

/* It never comes: its room is kept as long as any other's that is not proven free. */
static void test_a_load_that_never_comes(void **state)
{
	(void)state;
	for (int way = 0; way < 2; way++) {
		begin("ollama", false);
		assert_int_equal(
			residence_want(&scene.residences, model, &scene_somebody, scene.now), 0);
		news(SEND_GRANTED);
		news(SEND_REVOKED);
		for (int64_t ms = 0; way == 0 && ms < SCENE_UNLOAD_MS; ms += 1000) {
			scene_answer("/api/ps", 200, loaded_none);
			assert_int_equal(scene.releases, 0);
			scene_pass(1000);
		}
		if (way == 0)
			scene_answer("/api/ps", 200, loaded_none);
		else
			scene_answer("/api/ps", 0, NULL); /* the server has ended */
		assert_int_equal(scene.releases, 1);
		scene_end();
	}
}

/* A load that was answered is over, however it ended. */
static void test_a_load_that_failed(void **state)
{
	(void)state;
	begin("ollama", false);
	assert_int_equal(residence_want(&scene.residences, model, &scene_somebody, scene.now), 0);
	news(SEND_GRANTED);
	scene_answer("/api/generate", 500, "{}");
	scene_answer("/api/generate", 200, "{}");
	scene_answer("/api/ps", 200, loaded_none);
	assert_int_equal(scene.releases, 1);
	scene_end();
}

/* One that takes no connection may have all it had. */
static void test_a_server_that_hangs(void **state)
{
	(void)state;
	begin("ollama", false);
	become_ready();
	scene.mute = true;
	news(SEND_REVOKED);
	scene_answer("/api/generate", 0, NULL);
	scene_answer("/api/ps", 0, NULL);
	assert_int_equal(scene.releases, 0);
	scene_pass(1000);
	scene_answer("/api/generate", 200, "{}");
	scene_answer("/api/ps", 200, loaded_none);
	assert_int_equal(scene.releases, 1);
	scene_end();
}

static void test_a_server_that_ended_has_no_memory(void **state)
{
	(void)state;
	begin("ollama", false);
	become_ready();
	news(SEND_REVOKED);
	scene_answer("/api/generate", 0, NULL);
	scene_answer("/api/ps", 0, NULL);
	assert_int_equal(scene.releases, 1);
	scene_end();
}

/* The broker was restarted: the server has it still, or not any more. */
static void test_found_again(void **state)
{
	(void)state;
	for (int has = 0; has < 2; has++) {
		begin("ollama", false);
		resume(5);
		news(SEND_GRANTED);
		scene_answer("/api/ps", 200, has ? loaded_m : loaded_none);
		assert_int_equal(model->residence, has ? RESIDENCE_READY : RESIDENCE_NONE);
		assert_int_equal(scene.releases, !has);
		assert_int_equal(model->failures, 0);
		scene_end();
	}
}

/* Behind its name stands another server now, which knows nothing of it. */
static void test_another_server_of_that_name(void **state)
{
	struct lease_kept kept = {5, "server", "m", "", false};
	char again[sizeof(scene.again)];
	(void)state;

	begin("ollama", false);
	resume(5);
	memcpy(again, scene.again, sizeof(again));
	kept.again = again;
	scene_end();

	begin("llama-router", false);
	assert_false(residence_resume(&scene.residences, model->server, &kept, scene.now));
	kept.again = "";
	assert_false(residence_resume(&scene.residences, model->server, &kept, scene.now));
	assert_int_equal(scene.asks, 0);
	assert_int_equal(model->residence, RESIDENCE_NONE);
	scene_end();
}

/* Its claim was over, and what was granted instead is a new one: nobody waits for it, and the
 * server may have the model still. */
static void test_granted_anew(void **state)
{
	(void)state;
	begin("ollama", false);
	assert_true(resume(4));
	news_of_state(SEND_GRANTED, CLAIM_LOADING);
	scene_answer("/api/generate", 200, "{}");
	scene_answer("/api/ps", 200, loaded_none);
	assert_int_equal(scene.releases, 1);
	assert_int_equal(model->residence, RESIDENCE_NONE);
	scene_end();
}

/* Its claim was over before it was asked for again: nothing is loaded for nobody, and what the
 * server still has is unloaded. */
static void test_found_too_late(void **state)
{
	(void)state;
	begin("ollama", false);
	resume(5);
	news(SEND_QUEUED);
	assert_int_equal(model->residence, RESIDENCE_NONE);
	assert_false(model->resumed);
	scene_end();

	begin("ollama", false);
	resume(5);
	news(SEND_DENIED);
	assert_int_equal(model->failures, 0);
	scene_answer("/api/generate", 200, "{}");
	scene_answer("/api/ps", 200, loaded_none);
	assert_int_equal(model->residence, RESIDENCE_NONE);
	assert_int_equal(scene.releases, 0);
	scene_end();
}

/* The last broker's command ends with it, in its own time: until then it has its memory, and its
 * port. */
static void test_command_of_the_last_broker(void **state)
{
	(void)state;
	begin("openai", true);
	resume(5);
	news(SEND_GRANTED);
	scene_answer("/health", 200, "");
	assert_int_equal(scene.releases, 0);
	scene_pass(1000);
	scene_answer("/health", 0, NULL);
	assert_int_equal(scene.releases, 1);
	assert_int_equal(scene.stops, 0);
	scene_end();

	begin("openai", true);
	assert_int_equal(residence_want(&scene.residences, model, &scene_somebody, scene.now), 0);
	news(SEND_GRANTED);
	scene_answer("/health", 200, "");
	assert_int_equal(model->failures, 0);
	scene_pass(3000);
	scene_answer("/health", 0, NULL);
	assert_int_equal(scene.starts, 1);
	scene_end();
}

/* Later, what answers there is a stranger. */
static void test_a_stranger_on_its_port(void **state)
{
	(void)state;
	begin("openai", true);
	scene.now = mono_after(scene.now, 60 * 1000);
	assert_int_equal(residence_want(&scene.residences, model, &scene_somebody, scene.now), 0);
	news(SEND_GRANTED);
	scene_answer("/health", 200, "");
	assert_int_equal(model->failures, 1);
	assert_int_equal(scene.starts, 0);
	scene_end();
}

static enum switch_stage newest_stage(void)
{
	const struct switch_entry *entry = switch_log_before(&scene.switches, NULL);

	return entry ? entry->stage : SWITCH_NONE;
}

/* A switch goes the way of its model; what was in memory already, or is waited for in vain, is
 * none. */
static void test_switches(void **state)
{
	(void)state;
	begin("ollama", false);
	residence_want(&scene.residences, model, &scene_somebody, scene.now);
	news(SEND_QUEUED);
	assert_int_equal(model->lease, 5);
	assert_int_equal(newest_stage(), SWITCH_WAITING);
	residence_unwanted(&scene.residences, model);
	assert_int_equal(newest_stage(), SWITCH_NONE);
	assert_int_equal(model->lease, 0);

	residence_want(&scene.residences, model, &scene_somebody, scene.now);
	news(SEND_GRANTED);
	assert_int_equal(newest_stage(), SWITCH_LOADING);
	scene_answer("/api/generate", 500, "{}");
	assert_int_equal(newest_stage(), SWITCH_FAILED);
	scene_answer("/api/generate", 200, "{}");
	scene_answer("/api/ps", 200, loaded_none);

	scene_pass(60 * 1000);
	residence_want(&scene.residences, model, &scene_somebody, scene.now);
	news(SEND_GRANTED);
	news(SEND_REVOKED);
	assert_int_equal(newest_stage(), SWITCH_BROKEN_OFF);
	assert_int_equal(model->failures, 1); /* that was not one */
	scene_end();

	begin("ollama", false);
	resume(5);
	news(SEND_GRANTED);
	assert_int_equal(model->residence, RESIDENCE_READY);
	assert_int_equal(newest_stage(), SWITCH_NONE);
	scene_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_given_back_once_it_is_gone),
		cmocka_unit_test(test_one_that_never_unloads),
		cmocka_unit_test(test_a_load_that_comes_late),
		cmocka_unit_test(test_a_load_that_never_comes),
		cmocka_unit_test(test_a_load_that_failed),
		cmocka_unit_test(test_a_server_that_hangs),
		cmocka_unit_test(test_a_server_that_ended_has_no_memory),
		cmocka_unit_test(test_found_again),
		cmocka_unit_test(test_another_server_of_that_name),
		cmocka_unit_test(test_granted_anew),
		cmocka_unit_test(test_found_too_late),
		cmocka_unit_test(test_command_of_the_last_broker),
		cmocka_unit_test(test_a_stranger_on_its_port),
		cmocka_unit_test(test_switches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
