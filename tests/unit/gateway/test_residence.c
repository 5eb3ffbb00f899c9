/* Goal: what a model's claim keeps is given back when its server has given the memory back, and not
 * before: by what the server says that it has, by its end, or after unload_ms_max. Method: the real
 * residences; leases are granted and servers answer where the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/send.h"
#include "gateway/catalog.h"
#include "gateway/lease_port.h"
#include "gateway/model.h"
#include "gateway/process_port.h"
#include "gateway/residence.h"
#include "gateway/switch_log.h"
#include "net/loop.h"

static const char loaded_m[] = "{\"models\":[{\"name\":\"m:latest\",\"size_vram\":7}]}";
static const char loaded_none[] = "{\"models\":[]}";

/* ---- what stands outside ---- */

static struct {
	struct mono_ms now;
	char asked_path[128]; /* of the call that is not answered yet; "": none */
	call_done *done;
	void *ctx;
	bool full; /* no call can be made */
	bool mute; /* connections are not taken, nor refused */
	struct lease_ask ask;
	char again[32]; /* of that */
	unsigned asks, readies, releases, starts, stops;
} seen;

static char some_call;

int call_start(struct upstream *upstream, const struct call_question *question, call_done *done,
	       void *ctx, struct call **ret_call)
{
	(void)upstream;
	if (seen.full)
		return -ERR_TOO_MANY_CONNECTIONS;
	snprintf(seen.asked_path, sizeof(seen.asked_path), "%s",
		 question->url + strlen("http://server"));
	seen.done = done;
	seen.ctx = ctx;
	*ret_call = (struct call *)(void *)&some_call;
	return 0;
}

void call_cancel(struct call *call)
{
	if (call)
		seen.asked_path[0] = '\0';
}

struct mono_ms loop_now(void)
{
	return seen.now;
}

struct wall_ms loop_wall_now(void)
{
	return (struct wall_ms){1764400000000};
}

static void on_acquire(void *ctx, const struct lease_ask *ask)
{
	(void)ctx;
	seen.ask = *ask;
	snprintf(seen.again, sizeof(seen.again), "%s", ask->again);
	seen.ask.again = seen.again;
	seen.asks++;
}

static void on_ready(void *ctx, uint64_t party, const struct token *token)
{
	(void)ctx, (void)party, (void)token;
	seen.readies++;
}

static void on_release(void *ctx, uint64_t party, const struct token *token, bool requeue)
{
	(void)ctx, (void)token, (void)requeue;
	assert_int_equal(party, seen.ask.party);
	seen.releases++;
}

static void on_gone(void *ctx, uint64_t party)
{
	(void)ctx, (void)party;
}

static int on_start(void *ctx, const struct process_ask *ask)
{
	(void)ctx, (void)ask;
	seen.starts++;
	return 0;
}

static void on_stop(void *ctx, uint64_t process)
{
	(void)ctx, (void)process;
	seen.stops++;
}

static void on_lists(void *ctx)
{
	(void)ctx;
}

static void on_model(void *ctx, struct model *model)
{
	(void)ctx, (void)model;
}

/* ---- one model ---- */

enum { UNLOAD_MS = 30 * 1000 };

static const struct lease_port port = {
	.acquire = on_acquire, .ready = on_ready, .release = on_release, .gone = on_gone};
static const struct process_port processes = {.start = on_start, .stop = on_stop};
static const struct switch_cause somebody = {"client", "key:a", LEASE_CHAT};
static struct catalog catalog;
static struct switch_log switches;
static struct residences residences;
static struct model *model;

static void begin(const char *kind, bool command)
{
	static const struct gateway_model_config models[] = {{.name = "m", .vram_bytes = 1 << 30}};
	const struct gateway_server_config server = {.name = "server",
						     .kind = kind,
						     .url = "http://server",
						     .on_gpu = true,
						     .models = models,
						     .model_count = 1,
						     .cmd = "serve",
						     .env = "",
						     .cmd_count = command,
						     .ready = command ? "/health" : ""};

	memset(&seen, 0, sizeof(seen));
	memset(&switches, 0, sizeof(switches));
	seen.now.v = 1000 * 1000;
	catalog_init(&catalog, NULL, on_lists, NULL);
	catalog.residences = &residences;
	residences = (struct residences){.catalog = &catalog,
					 .port = &port,
					 .processes = &processes,
					 .switches = &switches,
					 .process_next = 1,
					 .party_next = LEASE_PARTY_FIRST + 1,
					 .finish_ms = 2000,
					 .load_ms_max = 120 * 1000,
					 .unload_ms_max = UNLOAD_MS,
					 .started = seen.now,
					 .on_change = on_model};
	list_init(&residences.kept);
	catalog_add(&catalog, &server);
	model = catalog_find(&catalog, &(struct catalog_wish){.name = "m"});
}

static void end(void)
{
	catalog_finish(&catalog);
}

static void news_of_state(enum send_kind msg, enum claim_state state)
{
	const struct send_effect send = {
		.msg = msg, .state = state, .lease = 5, .gpus = 1, .err = ERR_REVOKED};

	assert_true(residence_news(&residences, seen.ask.party, &send, seen.now));
}

static void news(enum send_kind msg)
{
	news_of_state(msg, CLAIM_HELD);
}

/* The server answers what it was asked at `path`. `body` NULL: nobody listens there. */
static void answer(const char *path, int status, const char *body)
{
	const struct call_answer answer = {.err = body ? 0 : ERR_UPSTREAM_UNREACHABLE,
					   .status = status,
					   .body = body,
					   .nobody = !body && !seen.mute,
					   .length = body ? strlen(body) : 0,
					   .what = ""};

	assert_string_equal(seen.asked_path, path);
	seen.asked_path[0] = '\0';
	seen.done(seen.ctx, &answer);
}

/* The call's own limit is over. */
static void answer_slowly(const char *path)
{
	seen.mute = true;
	answer(path, 0, NULL);
	seen.mute = false;
}

static void pass(int64_t ms)
{
	seen.now = mono_after(seen.now, ms);
	residence_tick(&residences, seen.now);
}

/* After a restart: its claim was asked for as this server's is, and has this number. */
static bool resume(uint64_t lease)
{
	struct lease_kept kept = {lease, "server", "m", seen.again, false};

	assert_int_equal(residence_want(&residences, model, &somebody, seen.now), 0);
	residence_unwanted(&residences, model);
	return residence_resume(&residences, model->server, &kept, seen.now);
}

static void become_ready(void)
{
	assert_int_equal(residence_want(&residences, model, &somebody, seen.now), 0);
	news(SEND_GRANTED);
	answer("/api/generate", 200, "{}");
	answer("/api/ps", 200, loaded_m);
	assert_int_equal(model->residence, RESIDENCE_READY);
	assert_int_equal(seen.readies, 0); /* before those who wait for it have asked for turns */
	residence_told(&residences, model);
	residence_told(&residences, model);
	assert_int_equal(seen.readies, 1);
}

/* ---- the tests ---- */

static void test_given_back_once_it_is_gone(void **state)
{
	(void)state;
	begin("ollama", false);
	become_ready();
	news(SEND_REVOKED);
	answer("/api/generate", 200, "{}");
	answer("/api/ps", 200, loaded_m);
	assert_int_equal(seen.releases, 0);
	pass(1000);
	answer("/api/generate", 200, "{}");
	answer("/api/ps", 200, loaded_none);
	assert_int_equal(seen.releases, 1);
	assert_int_equal(model->residence, RESIDENCE_NONE);
	end();
}

/* However it refuses: it is asked again, and what it has counts as free in the end. */
static void test_one_that_never_unloads(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		begin("ollama", false);
		become_ready();
		seen.full = way == 2;
		news(SEND_REVOKED);
		for (int64_t ms = 0; ms < UNLOAD_MS; ms += 1000) {
			if (way < 2) {
				answer("/api/generate", way == 0 ? 200 : 500, "{}");
				answer("/api/ps", way == 0 ? 200 : 500,
				       way == 0 ? loaded_m : "<html>");
			}
			assert_int_equal(seen.releases, 0);
			assert_int_equal(model->residence, RESIDENCE_UNLOADING);
			pass(1000);
		}
		if (way < 2) {
			answer("/api/generate", 200, "{}");
			answer("/api/ps", 200, loaded_m);
		}
		assert_int_equal(seen.releases, 1);
		end();
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
			assert_int_equal(residence_want(&residences, model, &somebody, seen.now),
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
			answer("/api/ps", 200, loaded_none);
			assert_int_equal(seen.releases, 0);
			pass(1000);
		}
		answer("/api/ps", 200, loaded_m);
		assert_int_equal(seen.releases, 0);
		pass(1000);
		answer("/api/generate", 200, "{}");
		answer("/api/ps", 200, loaded_none);
		assert_int_equal(seen.releases, 1);
		assert_false(model->load_pending);
		end();
	}
}

/* It never comes: its room is kept as long as any other's that is not proven free. */
static void test_a_load_that_never_comes(void **state)
{
	(void)state;
	for (int way = 0; way < 2; way++) {
		begin("ollama", false);
		assert_int_equal(residence_want(&residences, model, &somebody, seen.now), 0);
		news(SEND_GRANTED);
		news(SEND_REVOKED);
		for (int64_t ms = 0; way == 0 && ms < UNLOAD_MS; ms += 1000) {
			answer("/api/ps", 200, loaded_none);
			assert_int_equal(seen.releases, 0);
			pass(1000);
		}
		if (way == 0)
			answer("/api/ps", 200, loaded_none);
		else
			answer("/api/ps", 0, NULL); /* the server has ended */
		assert_int_equal(seen.releases, 1);
		end();
	}
}

/* A load that was answered is over, however it ended. */
static void test_a_load_that_failed(void **state)
{
	(void)state;
	begin("ollama", false);
	assert_int_equal(residence_want(&residences, model, &somebody, seen.now), 0);
	news(SEND_GRANTED);
	answer("/api/generate", 500, "{}");
	answer("/api/generate", 200, "{}");
	answer("/api/ps", 200, loaded_none);
	assert_int_equal(seen.releases, 1);
	end();
}

/* One that takes no connection may have all it had. */
static void test_a_server_that_hangs(void **state)
{
	(void)state;
	begin("ollama", false);
	become_ready();
	seen.mute = true;
	news(SEND_REVOKED);
	answer("/api/generate", 0, NULL);
	answer("/api/ps", 0, NULL);
	assert_int_equal(seen.releases, 0);
	pass(1000);
	answer("/api/generate", 200, "{}");
	answer("/api/ps", 200, loaded_none);
	assert_int_equal(seen.releases, 1);
	end();
}

static void test_a_server_that_ended_has_no_memory(void **state)
{
	(void)state;
	begin("ollama", false);
	become_ready();
	news(SEND_REVOKED);
	answer("/api/generate", 0, NULL);
	answer("/api/ps", 0, NULL);
	assert_int_equal(seen.releases, 1);
	end();
}

/* The broker was restarted: the server has it still, or not any more. */
static void test_found_again(void **state)
{
	(void)state;
	for (int has = 0; has < 2; has++) {
		begin("ollama", false);
		resume(5);
		news(SEND_GRANTED);
		answer("/api/ps", 200, has ? loaded_m : loaded_none);
		assert_int_equal(model->residence, has ? RESIDENCE_READY : RESIDENCE_NONE);
		assert_int_equal(seen.releases, !has);
		assert_int_equal(model->failures, 0);
		end();
	}
}

/* Behind its name stands another server now, which knows nothing of it. */
static void test_another_server_of_that_name(void **state)
{
	struct lease_kept kept = {5, "server", "m", "", false};
	char again[sizeof(seen.again)];
	(void)state;

	begin("ollama", false);
	resume(5);
	memcpy(again, seen.again, sizeof(again));
	kept.again = again;
	end();

	begin("llama-router", false);
	assert_false(residence_resume(&residences, model->server, &kept, seen.now));
	kept.again = "";
	assert_false(residence_resume(&residences, model->server, &kept, seen.now));
	assert_int_equal(seen.asks, 0);
	assert_int_equal(model->residence, RESIDENCE_NONE);
	end();
}

/* Its claim was over, and what was granted instead is a new one: nobody waits for it, and the
 * server may have the model still. */
static void test_granted_anew(void **state)
{
	(void)state;
	begin("ollama", false);
	assert_true(resume(4));
	news_of_state(SEND_GRANTED, CLAIM_LOADING);
	answer("/api/generate", 200, "{}");
	answer("/api/ps", 200, loaded_none);
	assert_int_equal(seen.releases, 1);
	assert_int_equal(model->residence, RESIDENCE_NONE);
	end();
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
	end();

	begin("ollama", false);
	resume(5);
	news(SEND_DENIED);
	assert_int_equal(model->failures, 0);
	answer("/api/generate", 200, "{}");
	answer("/api/ps", 200, loaded_none);
	assert_int_equal(model->residence, RESIDENCE_NONE);
	assert_int_equal(seen.releases, 0);
	end();
}

/* The last broker's command ends with it, in its own time: until then it has its memory, and its
 * port. */
static void test_command_of_the_last_broker(void **state)
{
	(void)state;
	begin("openai", true);
	resume(5);
	news(SEND_GRANTED);
	answer("/health", 200, "");
	assert_int_equal(seen.releases, 0);
	pass(1000);
	answer("/health", 0, NULL);
	assert_int_equal(seen.releases, 1);
	assert_int_equal(seen.stops, 0);
	end();

	begin("openai", true);
	assert_int_equal(residence_want(&residences, model, &somebody, seen.now), 0);
	news(SEND_GRANTED);
	answer("/health", 200, "");
	assert_int_equal(model->failures, 0);
	pass(3000);
	answer("/health", 0, NULL);
	assert_int_equal(seen.starts, 1);
	end();
}

/* Later, what answers there is a stranger. */
static void test_a_stranger_on_its_port(void **state)
{
	(void)state;
	begin("openai", true);
	seen.now = mono_after(seen.now, 60 * 1000);
	assert_int_equal(residence_want(&residences, model, &somebody, seen.now), 0);
	news(SEND_GRANTED);
	answer("/health", 200, "");
	assert_int_equal(model->failures, 1);
	assert_int_equal(seen.starts, 0);
	end();
}

static enum switch_stage newest_stage(void)
{
	const struct switch_entry *entry = switch_log_before(&switches, NULL);

	return entry ? entry->stage : SWITCH_NONE;
}

/* A switch goes the way of its model; what was in memory already, or is waited for in vain, is
 * none. */
static void test_switches(void **state)
{
	(void)state;
	begin("ollama", false);
	residence_want(&residences, model, &somebody, seen.now);
	news(SEND_QUEUED);
	assert_int_equal(model->lease, 5);
	assert_int_equal(newest_stage(), SWITCH_WAITING);
	residence_unwanted(&residences, model);
	assert_int_equal(newest_stage(), SWITCH_NONE);
	assert_int_equal(model->lease, 0);

	residence_want(&residences, model, &somebody, seen.now);
	news(SEND_GRANTED);
	assert_int_equal(newest_stage(), SWITCH_LOADING);
	answer("/api/generate", 500, "{}");
	assert_int_equal(newest_stage(), SWITCH_FAILED);
	answer("/api/generate", 200, "{}");
	answer("/api/ps", 200, loaded_none);

	pass(60 * 1000);
	residence_want(&residences, model, &somebody, seen.now);
	news(SEND_GRANTED);
	news(SEND_REVOKED);
	assert_int_equal(newest_stage(), SWITCH_BROKEN_OFF);
	assert_int_equal(model->failures, 1); /* that was not one */
	end();

	begin("ollama", false);
	resume(5);
	news(SEND_GRANTED);
	assert_int_equal(model->residence, RESIDENCE_READY);
	assert_int_equal(newest_stage(), SWITCH_NONE);
	end();
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
