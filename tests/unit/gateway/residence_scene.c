/* residence_scene: see residence_scene.h. */
#include "residence_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "gateway/process_port.h"
#include "net/loop.h"

struct residence_scene scene;
const struct switch_cause scene_somebody = {"client", "key:a", LEASE_CHAT};

static char some_call;

int call_start(struct upstream *upstream, const struct call_question *question, call_done *done,
	       void *ctx, struct call **ret_call)
{
	(void)upstream;
	if (scene.full)
		return -ERR_TOO_MANY_CONNECTIONS;
	snprintf(scene.asked_path, sizeof(scene.asked_path), "%s",
		 question->url + strlen("http://server"));
	scene.done = done;
	scene.ctx = ctx;
	*ret_call = (struct call *)(void *)&some_call;
	return 0;
}

void call_cancel(struct call *call)
{
	if (call)
		scene.asked_path[0] = '\0';
}

struct mono_ms loop_now(void)
{
	return scene.now;
}

struct wall_ms loop_wall_now(void)
{
	return (struct wall_ms){1764400000000};
}

static void on_acquire(void *ctx, const struct lease_ask *ask)
{
	(void)ctx;
	scene.ask = *ask;
	snprintf(scene.again, sizeof(scene.again), "%s", ask->again);
	scene.ask.again = scene.again;
	scene.asks++;
}

static void on_ready(void *ctx, uint64_t party, const struct token *token)
{
	(void)ctx, (void)party, (void)token;
	scene.readies++;
}

static void on_release(void *ctx, uint64_t party, const struct token *token, bool requeue)
{
	(void)ctx, (void)token, (void)requeue;
	scene.released = party;
	scene.releases++;
}

static void on_gone(void *ctx, uint64_t party)
{
	(void)ctx, (void)party;
}

static int on_start(void *ctx, const struct process_ask *ask)
{
	(void)ctx, (void)ask;
	scene.starts++;
	return 0;
}

static void on_stop(void *ctx, uint64_t process)
{
	(void)ctx, (void)process;
	scene.stops++;
}

static void on_lists(void *ctx)
{
	(void)ctx;
}

static void on_model(void *ctx, struct model *model)
{
	(void)ctx, (void)model;
}

static bool is_wanted(void *ctx, const struct model *model)
{
	(void)ctx, (void)model;
	return scene.wanted;
}

void scene_begin(const char *kind, bool command, const char *const *names)
{
	static const struct lease_port port = {
		.acquire = on_acquire, .ready = on_ready, .release = on_release, .gone = on_gone};
	static const struct process_port processes = {.start = on_start, .stop = on_stop};
	struct gateway_model_config models[4];
	struct gateway_server_config server = {.name = "server",
					       .kind = kind,
					       .url = "http://server",
					       .on_gpu = true,
					       .models = models,
					       .cmd = "serve",
					       .env = "",
					       .cmd_count = command,
					       .ready = command ? "/health" : ""};

	for (; *names; names++)
		models[server.model_count++] =
			(struct gateway_model_config){.name = *names, .vram_bytes = 1 << 30};
	memset(&scene, 0, sizeof(scene));
	scene.now.v = 1000 * 1000;
	catalog_init(&scene.catalog, NULL, on_lists, NULL);
	scene.catalog.residences = &scene.residences;
	scene.residences = (struct residences){.catalog = &scene.catalog,
					       .port = &port,
					       .processes = &processes,
					       .switches = &scene.switches,
					       .process_next = 1,
					       .party_next = LEASE_PARTY_FIRST + 1,
					       .finish_ms = SCENE_FINISH_MS,
					       .load_ms_max = 120 * 1000,
					       .unload_ms_max = SCENE_UNLOAD_MS,
					       .started = scene.now,
					       .on_change = on_model,
					       .is_wanted = is_wanted};
	list_init(&scene.residences.kept);
	catalog_add(&scene.catalog, &server);
}

void scene_end(void)
{
	catalog_finish(&scene.catalog);
}

struct model *scene_model(const char *name)
{
	return catalog_find(&scene.catalog, &(struct catalog_wish){.name = name});
}

void scene_want(struct model *model)
{
	assert_int_equal(residence_want(&scene.residences, model, &scene_somebody, scene.now), 0);
}

void scene_news(const struct model *model, uint64_t lease, enum send_kind msg,
		enum claim_state state)
{
	const struct send_effect send = {
		.msg = msg, .state = state, .lease = lease, .gpus = 1, .err = ERR_REVOKED};

	assert_true(residence_news(&scene.residences, model->party, &send, scene.now));
}

void scene_answer(const char *path, int status, const char *body)
{
	const struct call_answer answer = {.err = body ? 0 : ERR_UPSTREAM_UNREACHABLE,
					   .status = status,
					   .body = body,
					   .nobody = !body && !scene.mute,
					   .length = body ? strlen(body) : 0,
					   .what = ""};

	assert_string_equal(scene.asked_path, path);
	scene.asked_path[0] = '\0';
	scene.done(scene.ctx, &answer);
}

void scene_pass(int64_t ms)
{
	scene.now = mono_after(scene.now, ms);
	residence_tick(&scene.residences, scene.now);
}

bool scene_resume(struct model *model, uint64_t lease)
{
	struct lease_kept kept = {lease, "server", model->name, scene.again, false};

	scene_want(model);
	residence_unwanted(&scene.residences, model);
	return residence_resume(&scene.residences, model->server, &kept, scene.now);
}
