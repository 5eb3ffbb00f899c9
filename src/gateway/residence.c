/* residence: one model's way from absent to ready and back. Each answer of a server is judged by
 * what it says is loaded, where it says so, not by its status alone. */
#include "gateway/residence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/loop.h"

enum {
	RETRY_MS = 15 * 1000,
	RETRY_MS_MAX = 5 * 60 * 1000,
	UNLOAD_POLL_MS = 250,
	UNLOAD_MS_MAX = 10 * 1000,
	END_MS = 5 * 1000, /* of its grace, for the server to give its memory back: KEEPER_GRACE_MS
			      ends before */
	CALL_MS = 10 * 1000,
	CHECK_MS = 30 * 1000,
	START_POLL_MS = 250,
	STAY_MS = 2 * 1000, /* else two models that are wanted put each other out, unused */
};

static void enter_state(struct model *model, enum residence residence, struct mono_ms now)
{
	model->residence = residence;
	model->since = now;
	model->due = MONO_NEVER;
	model->leaves = model->leaves && residence != RESIDENCE_NONE;
}

static int64_t retry_delay_ms(unsigned failures)
{
	int64_t delay_ms = RETRY_MS;

	for (unsigned i = 1; i < failures && delay_ms < RETRY_MS_MAX; i++)
		delay_ms *= 2;
	return delay_ms < RETRY_MS_MAX ? delay_ms : RETRY_MS_MAX;
}

static void note_failure(struct residences *residences, struct model *model, struct mono_ms now,
			 const char *what)
{
	model->failures++;
	model->retry_at = mono_after(now, retry_delay_ms(model->failures));
	snprintf(model->failure, sizeof(model->failure), "%s", what);
	log_event(residences->log, LOG_WARN, "model failed", log_str("model", model->name),
		  log_str("server", model->server->name), log_str("why", what),
		  log_int("retry_ms", retry_delay_ms(model->failures)));
}

static void forget_claim(struct model *model)
{
	model->party = model->lease = 0;
	model->gpus = 0;
	memset(&model->token, 0, sizeof(model->token));
}

static void tell_change(struct residences *residences, struct model *model)
{
	residences->on_change(residences->ctx, model);
}

static int start_call(struct model *model, const struct adapter_call *what, int64_t time_ms,
		      call_done *done)
{
	return catalog_call(model->server, what, model->name, (int)time_ms, done, model,
			    &model->call);
}

static struct residences *residences_of(const struct model *model)
{
	return model->server->catalog->residences;
}

/* Its memory is free, as far as can be known: what its claim kept goes to others. */
static void give_back(struct residences *residences, struct model *model, struct mono_ms now)
{
	uint64_t party = model->party;
	struct token token = model->token;

	forget_claim(model);
	enter_state(model, RESIDENCE_NONE, now);
	if (party)
		residences->port->release(residences->port->ctx, party, &token, false);
	tell_change(residences, model);
}

struct loaded_search {
	const struct model *model;
	uint64_t bytes;
	bool found;
};

static void look_for(void *ctx, const struct adapter_model *found)
{
	struct loaded_search *search = ctx;

	if (!adapter_same_model(search->model->server->adapter, found->name, search->model->name))
		return;
	search->found = true;
	search->bytes = found->bytes;
}

static void on_unload_seen(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	struct loaded_search search = {.model = model};
	struct mono_ms now = loop_now();
	bool readable;

	model->call = NULL;
	readable = answer->err == 0 && model->server->adapter->read_loaded(
					       answer->body, answer->length, look_for, &search);
	/* A server that is gone has no memory. */
	if (answer->err == ERR_UPSTREAM_UNREACHABLE || (readable && !search.found)) {
		give_back(residences, model, now);
		return;
	}

	if (mono_since(now, model->since) < UNLOAD_MS_MAX) {
		model->due = mono_after(now, UNLOAD_POLL_MS);
		return;
	}
	log_event(residences->log, LOG_WARN, "model still in memory after its unload",
		  log_str("model", model->name), log_str("server", model->server->name));
	give_back(residences, model, now);
}

/* When an idle model is looked at again. */
static struct mono_ms look_again_at(const struct model *model, struct mono_ms now)
{
	const struct model_server *server = model->server;

	if (!server->cmd)
		return mono_after(now, CHECK_MS);
	return server->idle_ms ? mono_after(now, server->idle_ms) : MONO_NEVER;
}

static void look_whether_unloaded(struct residences *residences, struct model *model,
				  struct mono_ms now)
{
	model->due = MONO_NEVER;
	if (start_call(model, &model->server->adapter->loaded, CALL_MS, on_unload_seen) != 0)
		give_back(residences, model, now);
}

static void on_unloaded(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	struct mono_ms now = loop_now();

	model->call = NULL;
	if (answer->err || answer->status >= 400)
		log_event(residences->log, LOG_WARN, "model server did not unload",
			  log_str("model", model->name), log_str("server", model->server->name),
			  log_int("status", answer->status), log_str("why", answer->what));

	if (model->server->adapter->loaded.method)
		look_whether_unloaded(residences, model, now);
	else
		give_back(residences, model, now);
}

static void ask_unload(struct residences *residences, struct model *model, struct mono_ms now)
{
	const struct adapter_call *unload = &model->server->adapter->unload;
	const struct model_server *server = model->server;

	model->due = MONO_NEVER;
	if (server->process) { /* its end gives the memory back */
		residences->processes->stop(residences->processes->ctx, server->process);
		return;
	}
	if (server->cmd) {
		give_back(residences, model, now);
		return;
	}
	if (!unload->method || start_call(model, unload, UNLOAD_MS_MAX, on_unloaded) != 0)
		give_back(residences, model, now);
}

static void begin_unload(struct residences *residences, struct model *model, struct mono_ms now)
{
	call_cancel(model->call);
	model->call = NULL;
	enter_state(model, RESIDENCE_UNLOADING, now);
	tell_change(residences, model);
	ask_unload(residences, model, now);
}

static void begin_leaving(struct residences *residences, struct model *model, int64_t grace_ms,
			  struct mono_ms now)
{
	if (model->residence == RESIDENCE_UNLOADING)
		return;

	/* What runs may not use up the time in which the memory is given back. */
	int64_t cut_ms = grace_ms - grace_ms / 4;

	enter_state(model, RESIDENCE_LEAVING, now);
	model->due =
		mono_after(now, cut_ms < residences->finish_ms ? cut_ms : residences->finish_ms);
	if (model->running == 0)
		begin_unload(residences, model, now);
	else
		tell_change(residences, model);
}

static void on_size_seen(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct loaded_search search = {.model = model};

	model->call = NULL;
	if (answer->err == 0 && answer->status == 200)
		model->server->adapter->read_loaded(answer->body, answer->length, look_for,
						    &search);
	if (search.bytes)
		model->seen_bytes = search.bytes;
}

/* Whether what was ready still is: its server may have ended, or given its memory back by itself.
 */
static void on_checked(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	const struct adapter *adapter = model->server->adapter;
	struct loaded_search search = {.model = model};
	struct mono_ms now = loop_now();
	bool gone = answer->err == ERR_UPSTREAM_UNREACHABLE;

	model->call = NULL;
	if (model->residence != RESIDENCE_READY || model->running > 0)
		return; /* residence_worked looks again */

	if (answer->err == 0 && answer->status == 200 && adapter->loaded.method)
		gone = adapter->read_loaded(answer->body, answer->length, look_for, &search) &&
		       !search.found;
	if (gone)
		give_back(residences_of(model), model, now);
	else
		model->due = mono_after(now, CHECK_MS);
}

static void check_ready(struct model *model, struct mono_ms now)
{
	const struct adapter *adapter = model->server->adapter;
	const struct adapter_call *check =
		adapter->loaded.method ? &adapter->loaded : &adapter->list;

	model->due = MONO_NEVER;
	if (model->running > 0)
		return;
	if (model->server->cmd) { /* it was idle for as long as it may be */
		begin_unload(residences_of(model), model, now);
		return;
	}
	if (model->call || start_call(model, check, CALL_MS, on_checked) != 0)
		model->due = mono_after(now, CHECK_MS);
}

static void become_ready(struct residences *residences, struct model *model, struct mono_ms now)
{
	const struct adapter *adapter = model->server->adapter;

	model->load_ms = mono_since(now, model->since);
	model->failures = 0;
	model->failure[0] = '\0';
	enter_state(model, RESIDENCE_READY, now);
	residences->port->ready(residences->port->ctx, model->party, &model->token);
	if (adapter->sizes_itself)
		start_call(model, &adapter->loaded, CALL_MS, on_size_seen);
	if (adapter->load.method || model->server->cmd) /* else its first request loads it */
		model->due = look_again_at(model, now);
	tell_change(residences, model);
	if (model->leaves)
		begin_unload(residences, model, now);
}

static void on_loaded(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	struct mono_ms now = loop_now();
	char what[160];

	model->call = NULL;
	if (answer->err == 0 && answer->status < 400) {
		become_ready(residences, model, now);
		return;
	}

	if (answer->err)
		snprintf(what, sizeof(what), "%s", answer->what);
	else
		snprintf(what, sizeof(what), "the server answered its load with status %d",
			 answer->status);
	note_failure(residences, model, now, what);
	begin_unload(residences, model, now); /* a load that failed may have left memory behind */
}

/* What its server has to do once it is there. */
static void ask_load(struct residences *residences, struct model *model, struct mono_ms now)
{
	const struct adapter_call *load = &model->server->adapter->load;

	if (!load->method) {
		become_ready(residences, model, now);
		return;
	}
	if (start_call(model, load, residences->load_ms_max, on_loaded) != 0) {
		note_failure(residences, model, now, "the call could not be made");
		give_back(residences, model, now);
	}
}

/* `since`: somebody waits for it. */
static void fail_start(struct residences *residences, struct model *model, struct mono_ms now,
		       const char *what)
{
	note_failure(residences, model, now, what);
	begin_unload(residences, model, now);
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
		fail_start(residences, model, now, what);
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
	else if (answer->err == ERR_UPSTREAM_UNREACHABLE)
		start_process(residences, model, now);
	else
		fail_start(residences, model, now, "something else answers on its port");
}

static void ask_ready(struct residences *residences, struct model *model, struct mono_ms now)
{
	const struct adapter_call call = {.method = "GET", .path = model->server->ready};

	if (start_call(model, &call, CALL_MS, on_ready_answer) != 0)
		fail_start(residences, model, now, "the call could not be made");
}

static void begin_load(struct residences *residences, struct model *model, struct mono_ms now)
{
	enter_state(model, RESIDENCE_LOADING, now);
	if (model->server->cmd)
		ask_ready(residences, model, now);
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

	if (ready && mono_since(now, model->since) > RETRY_MS_MAX)
		model->crashes = 0;
	model->failures = model->crashes++;
	snprintf(what, sizeof(what),
		 "its command ended with status %d%s; `baton logs` has its words", status,
		 ready ? "" : " before it was ready");
	note_failure(residences, model, now, what);
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
		give_back(residences, model, now);
	}
}

static void ask_memory(struct residences *residences, struct model *model, enum lease_class cls,
		       struct mono_ms since, struct mono_ms now)
{
	const struct model_server *server = model->server;
	struct lease_ask ask = {
		.party = residences->party_next,
		.name = server->name,
		.principal = "gateway",
		.label = model->name,
		.cls = cls,
		.vram_bytes = model_vram_bytes(model),
		.gpu_mask = server->gpu_mask,
		.evictable = server->adapter->unload.method != NULL || server->cmd,
		.preemptible = true,
		.loads = true,
		.uninterruptible_ms = residences->finish_ms + END_MS,
		.min_residence_ms = model->load_ms + STAY_MS,
		.load_ms = model->load_ms,
		.waited_ms = mono_since(now, since),
		.timeout_ms = -1,
	};

	residences->party_next += 2;
	model->party = ask.party;
	model->cls = cls;
	enter_state(model, RESIDENCE_QUEUED, since);
	residences->port->acquire(residences->port->ctx, &ask);
}

int residence_want(struct residences *residences, struct model *model, enum lease_class cls,
		   struct mono_ms now)
{
	if (model->residence == RESIDENCE_QUEUED && cls < model->cls) {
		residences->port->gone(residences->port->ctx, model->party);
		ask_memory(residences, model, cls, model->since, now);
		return 0;
	}
	if (model->residence != RESIDENCE_NONE)
		return 0;

	if (model->failures > 0 && mono_before(now, model->retry_at))
		return -ERR_MODEL_FAILED;
	if (model_vram_bytes(model) == 0) {
		note_failure(residences, model, now,
			     "how much memory it needs is not known; set vram_mb in the "
			     "configuration");
		return -ERR_MODEL_FAILED;
	}

	ask_memory(residences, model, cls, now, now);
	return 0;
}

void residence_unwanted(struct residences *residences, struct model *model)
{
	if (model->residence != RESIDENCE_QUEUED)
		return;
	residences->port->gone(residences->port->ctx, model->party);
	forget_claim(model);
	enter_state(model, RESIDENCE_NONE, model->since);
}

void residence_worked(struct residences *residences, struct model *model, struct mono_ms now)
{
	if (model->running > 0 || model->server->worker) /* a tab says by itself what it has */
		return;
	if (model->residence == RESIDENCE_LEAVING ||
	    (model->residence == RESIDENCE_READY && model->leaves))
		begin_unload(residences, model, now);
	else if (model->residence == RESIDENCE_READY)
		model->due = look_again_at(model, now);
}

void residence_retire(struct residences *residences, struct model *model, struct mono_ms now)
{
	residence_unwanted(residences, model);
	if (model->residence == RESIDENCE_LOADING && model->server->cmd) {
		begin_unload(residences, model, now);
		return;
	}
	model->leaves = model->residence != RESIDENCE_NONE;
	residence_worked(residences, model, now);
}

void residence_server_gone(const struct model_server *server, struct mono_ms now)
{
	if (server->cmd)
		return; /* its process says so itself */
	server_models(model, server) if (model->residence == RESIDENCE_READY)
		check_ready(model, now);
}

static struct model *model_of_party(const struct residences *residences, uint64_t party)
{
	catalog_servers(server, residences->catalog)
		server_models(model, server) if (model->party == party) return model;
	return NULL;
}

/* Its claim is over without its doing. */
static void claim_ended(struct residences *residences, struct model *model,
			const struct send_effect *send, struct mono_ms now)
{
	bool waited = model->residence == RESIDENCE_QUEUED;

	forget_claim(model);
	if (!waited) {
		begin_unload(residences, model, now);
		return;
	}

	note_failure(residences, model, now,
		     send->msg == SEND_DENIED ? err_text(send->err) : "an operator ended its wait");
	enter_state(model, RESIDENCE_NONE, now);
	tell_change(residences, model);
}

static void begin_tenure(struct residences *residences, struct model *model,
			 const struct send_effect *send, struct mono_ms now)
{
	model->lease = send->lease;
	model->token = send->token;
	model->gpus = send->gpus;
	begin_load(residences, model, now);
}

static void load_took_too_long(struct residences *residences, struct model *model,
			       struct mono_ms now)
{
	char what[160];

	snprintf(what, sizeof(what), "it was not loaded within %" PRId64 " s (timing.load_max_s)",
		 residences->load_ms_max / 1000);
	note_failure(residences, model, now, what);
	begin_unload(residences, model, now);
}

/* Whoever needed the room has left. */
static void stay_after_all(struct residences *residences, struct model *model, struct mono_ms now)
{
	if (model->residence != RESIDENCE_LEAVING)
		return;
	enter_state(model, RESIDENCE_READY, now);
	model->due = look_again_at(model, now);
	tell_change(residences, model);
}

bool residence_news(struct residences *residences, uint64_t party, const struct send_effect *send,
		    struct mono_ms now)
{
	struct model *model = model_of_party(residences, party);
	enum send_kind msg = send->msg;

	if (!model)
		return false;

	if (msg == SEND_GRANTED)
		begin_tenure(residences, model, send, now);
	else if (msg == SEND_REVOKED && send->reason == YIELD_LOAD_MAX)
		load_took_too_long(residences, model, now);
	else if (msg == SEND_YIELD || msg == SEND_REVOKED)
		begin_leaving(residences, model, msg == SEND_YIELD ? send->grace_ms : 0, now);
	else if (msg == SEND_KEEP)
		stay_after_all(residences, model, now);
	else if (msg == SEND_RELEASED || msg == SEND_TIMEOUT || msg == SEND_DENIED)
		claim_ended(residences, model, send, now);
	return true;
}

static void act_when_due(struct residences *residences, struct model *model, struct mono_ms now)
{
	model->due = MONO_NEVER;
	if (model->residence == RESIDENCE_UNLOADING)
		ask_unload(residences, model,
			   now); /* a load that was cut off may have come after */
	else if (model->residence == RESIDENCE_LOADING && model->server->cmd)
		ask_ready(residences, model, now);
	else if (model->residence == RESIDENCE_LEAVING)
		tell_change(residences, model); /* what still runs is cut */
	else if (model->residence == RESIDENCE_READY)
		check_ready(model, now);
}

void residence_tick(struct residences *residences, struct mono_ms now)
{
	catalog_servers(server, residences->catalog)
		server_models(model, server) if (mono_due(model->due, now))
			act_when_due(residences, model, now);
}

struct mono_ms residence_next(const struct residences *residences)
{
	struct mono_ms next = MONO_NEVER;

	catalog_servers(server, residences->catalog) server_models(model, server) next =
		mono_min(next, model->due);
	return next;
}
