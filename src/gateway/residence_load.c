/* residence_load: from the grant until a model is ready; where the server is Baton's to start, its
 * command too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gateway/adapter.h"
#include "gateway/catalog.h"
#include "gateway/process_port.h"
#include "gateway/residence.h"
#include "gateway/residence_impl.h"
#include "net/loop.h"

enum {
	START_POLL_MS = 250,
	OLD_END_MS = 6 * 1000, /* commands of the last broker have ended by then: KEEPER_GRACE_MS */
};

static void on_size_seen(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct loaded_search search = {.model = model};

	model->call = NULL;
	residence_read_loaded(answer, &search);
	if (search.bytes)
		model->seen_bytes = search.bytes;
}

void residence_become_ready(struct residences *residences, struct model *model, struct mono_ms now)
{
	const struct adapter *adapter = model->server->adapter;

	model->load_ms = mono_since(now, model->since);
	model->failures = 0;
	model->failure[0] = '\0';
	residence_enter(model, RESIDENCE_READY, now);
	model->ready_untold = true;
	if (adapter->sizes_itself)
		residence_call(model, &adapter->loaded, RESIDENCE_CALL_MS, on_size_seen);
	if (adapter->load.method || model->server->cmd) /* else its first request loads it */
		model->due = residence_look_again_at(model, now);
	residence_changed(residences, model);
	if (model->leaves)
		residence_unload(residences, model, now);
}

/* It may have left memory behind. */
void residence_load_failed(struct residences *residences, struct model *model, struct mono_ms now,
			   const char *what)
{
	residence_failed(residences, model, now, what);
	residence_unload(residences, model, now);
}

static void on_loaded(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	struct mono_ms now = loop_now();
	char what[160];

	model->call = NULL;
	model->load_pending = answer->err && !answer->nobody;
	if (answer->err == 0 && answer->status < 400) {
		residence_become_ready(residences, model, now);
		return;
	}

	if (answer->err)
		snprintf(what, sizeof(what), "%s", answer->what);
	else
		snprintf(what, sizeof(what), "the server answered its load with status %d",
			 answer->status);
	residence_load_failed(residences, model, now, what);
}

/* What its server has to do once it is there. */
static void ask_load(struct residences *residences, struct model *model, struct mono_ms now)
{
	const struct model_server *server = model->server;
	const struct adapter_call *load = &server->adapter->load;

	if (server_has_one_place(server)) {
		residence_load_single(residences, model, now);
		return;
	}
	if (!load->method || server->adapter->single) { /* its command has named its one model */
		residence_become_ready(residences, model, now);
		return;
	}
	model->load_pending = true;
	if (residence_call(model, load, residences->load_ms_max, on_loaded) != 0) {
		residence_failed(residences, model, now, "the call could not be made");
		residence_give_back(residences, model, now);
	}
}

/* One that was removed, and whose command has not ended yet, has its port. */
static bool port_is_taken(const struct residences *residences, const struct model_server *server)
{
	catalog_servers(other, residences->catalog)
	{
		if (other != server && other->process && !strcmp(other->url, server->url))
			return true;
	}
	return false;
}

/* `${PORT}` and `${MODEL}` filled in. */
static char *fill_word(const struct model *model, const char *word)
{
	struct text out = {0};

	text_str(&out, "");
	for (; *word; word++) {
		if (!strncmp(word, "${PORT}", 7)) {
			text_str(&out, strrchr(model->server->url, ':') + 1);
			word += 6;
		} else if (!strncmp(word, "${MODEL}", 8)) {
			text_str(&out, model->name);
			word += 7;
		} else {
			text_char(&out, *word);
		}
	}
	return out.bytes;
}

/* Ends with NULL. */
static char **fill_words(const struct model *model, const char *words, unsigned count)
{
	char **filled = calloc(count + 1, sizeof(*filled));

	if (!filled)
		abort();
	for (unsigned i = 0; i < count; i++, words += strlen(words) + 1)
		filled[i] = fill_word(model, words);
	return filled;
}

static void free_words(char **words)
{
	for (char **at = words; *at; at++)
		free(*at);
	free(words);
}

static void start_process(struct residences *residences, struct model *model, struct mono_ms now)
{
	struct model_server *server = model->server;
	char **argv = fill_words(model, server->cmd, server->cmd_count);
	char **env = fill_words(model, server->env, server->env_count);
	const struct process_ask ask = {.process = residences->process_next,
					.server = server->name,
					.argv = (const char *const *)argv,
					.env = (const char *const *)env,
					.gpus = model->gpus};
	int rc = residences->processes->start(residences->processes->ctx, &ask);
	char what[160];

	snprintf(what, sizeof(what), "'%.60s' cannot be started: %s", argv[0], strerror(-rc));
	free_words(argv);
	free_words(env);
	if (rc != 0) {
		residence_load_failed(residences, model, now, what);
		return;
	}
	server->process = residences->process_next++;
	model->due = mono_after(now, START_POLL_MS);
}

/* Before its command is started nobody may answer there, and afterwards it is awaited. */
static void on_ready_answer(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	struct mono_ms now = loop_now();

	model->call = NULL;
	if (model->server->process && answer->err == 0 && answer->status == 200)
		ask_load(residences, model, now);
	else if (model->server->process || port_is_taken(residences, model->server))
		model->due = mono_after(now, START_POLL_MS);
	else if (answer->nobody)
		start_process(residences, model, now);
	else if (mono_since(now, residences->started) < OLD_END_MS)
		model->due = mono_after(now, START_POLL_MS);
	else
		residence_load_failed(residences, model, now, "something else answers on its port");
}

void residence_ask_ready(struct residences *residences, struct model *model, struct mono_ms now)
{
	const struct adapter_call call = {.method = "GET", .path = model->server->ready};

	if (residence_call(model, &call, RESIDENCE_CALL_MS, on_ready_answer) != 0)
		residence_load_failed(residences, model, now, "the call could not be made");
}

void residence_load(struct residences *residences, struct model *model, struct mono_ms now)
{
	residence_enter(model, RESIDENCE_LOADING, now);
	model->awaits_place = server_has_one_place(model->server);
	if (model->server->cmd)
		residence_ask_ready(residences, model, now);
	else
		ask_load(residences, model, now);
}

static struct model_server *server_of_process(const struct residences *residences, uint64_t process)
{
	catalog_servers(server, residences->catalog) if (server->process == process) return server;
	return NULL;
}

/* Short-lived ones are started again ever later; one that ran for long begins anew. */
static void note_crash(struct residences *residences, struct model *model, int status,
		       struct mono_ms now)
{
	bool ready = model->residence != RESIDENCE_LOADING;
	char what[160];

	if (ready && mono_since(now, model->since) > RESIDENCE_RETRY_MS_MAX)
		model->crashes = 0;
	model->failures = model->crashes++;
	snprintf(what, sizeof(what),
		 "its command ended with status %d%s; `baton logs` has its words", status,
		 ready ? "" : " before it was ready");
	residence_failed(residences, model, now, what);
}

void residence_process_ended(struct residences *residences, uint64_t process, int status,
			     struct mono_ms now)
{
	struct model_server *server = server_of_process(residences, process);

	if (!server)
		return;
	server->process = 0;
	server_models(model, server)
	{
		if (model->residence == RESIDENCE_NONE || model->residence == RESIDENCE_QUEUED)
			continue;
		call_cancel(model->call);
		model->call = NULL;
		if (model->residence != RESIDENCE_UNLOADING)
			note_crash(residences, model, status, now);
		residence_give_back(residences, model, now);
	}
}
