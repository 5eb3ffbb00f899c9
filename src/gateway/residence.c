/* residence: one model's way from absent to ready and back: its claim, and what follows from news
 * of it and of its server. Each answer of a server is judged by what it says is loaded, where it
 * says so, not by its status alone. */
#include "gateway/residence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "core/send.h"
#include "gateway/adapter.h"
#include "gateway/catalog.h"
#include "gateway/lease_port.h"
#include "gateway/residence_impl.h"
#include "gateway/switch_log.h"
#include "net/loop.h"
#include "wire/sight.h"

enum {
	RETRY_MS = 15 * 1000,
	END_MS = 5 * 1000, /* of its grace, for the server to give its memory back: KEEPER_GRACE_MS
			      ends before */
	CHECK_MS = 30 * 1000,
};

/* It is in memory: what that cost, and who wanted it. */
static void log_switch(struct residences *residences, const struct switch_entry *entry)
{
	if (!entry)
		return;
	log_event(residences->log, LOG_INFO, "model loaded", log_str("model", entry->model.name),
		  log_str("server", entry->model.server),
		  log_str("client", sight_public_name(entry->client)),
		  log_str("class", lease_class_name(entry->cls)),
		  log_int("waited_ms", entry->waited_ms), log_int("load_ms", entry->load_ms),
		  log_int("left", entry->left_count), log_str("principal", entry->principal));
}

static void end_switch(struct model *model, enum switch_stage stage, struct mono_ms now)
{
	struct residences *residences = residences_of(model);

	switch_log_end(residences->switches, model->switching, stage, now);
	if (stage == SWITCH_READY)
		log_switch(residences, switch_log_find(residences->switches, model->switching));
	model->switching = 0;
}

/* What follows for the switch that brings it in, and for the one that it leaves for. */
static void note_switch(struct model *model, enum residence to, struct mono_ms now)
{
	struct switch_log *switches = residences_of(model)->switches;
	const char *server = model->server->name;

	if (to == RESIDENCE_LOADING)
		switch_log_load(switches, model->switching, model->gpus, now);
	else if (to == RESIDENCE_READY)
		end_switch(model, SWITCH_READY, now);
	else if (to == RESIDENCE_NONE || to == RESIDENCE_UNLOADING)
		end_switch(model, SWITCH_BROKEN_OFF, now);

	if (to == RESIDENCE_NONE)
		switch_log_gone(switches, model->name, server, now);
	else if (to == RESIDENCE_READY)
		switch_log_stays(switches, model->name, server);
}

void residence_enter(struct model *model, enum residence residence, struct mono_ms now)
{
	note_switch(model, residence, now);
	model->residence = residence;
	model->since = now;
	model->due = MONO_NEVER;
	model->ready_untold = model->refusal_noted = false;
	model->leaves = model->leaves && residence != RESIDENCE_NONE;
	model->resumed = model->resumed && residence != RESIDENCE_NONE;
	model->load_pending = model->load_pending && residence != RESIDENCE_NONE;
	model->answered = model->answered && residence != RESIDENCE_NONE;
	model->awaits_place = false;
	model->worked = model->worked && residence != RESIDENCE_LOADING;
}

static int64_t retry_delay_ms(unsigned failures)
{
	int64_t delay_ms = RETRY_MS;

	for (unsigned i = 1; i < failures && delay_ms < RESIDENCE_RETRY_MS_MAX; i++)
		delay_ms *= 2;
	return delay_ms < RESIDENCE_RETRY_MS_MAX ? delay_ms : RESIDENCE_RETRY_MS_MAX;
}

void residence_failed(struct residences *residences, struct model *model, struct mono_ms now,
		      const char *what)
{
	end_switch(model, SWITCH_FAILED, now);
	model->failures++;
	model->retry_at = mono_after(now, retry_delay_ms(model->failures));
	model->failure_err = ERR_MODEL_FAILED;
	snprintf(model->failure, sizeof(model->failure), "%s", what);
	log_event(residences->log, LOG_WARN, "model failed", log_str("model", model->name),
		  log_str("server", model->server->name), log_str("why", what),
		  log_int("retry_ms", retry_delay_ms(model->failures)));
}

void residence_forget_claim(struct model *model)
{
	model->party = model->lease = 0;
	model->gpus = 0;
	memset(&model->token, 0, sizeof(model->token));
}

void residence_changed(struct residences *residences, struct model *model)
{
	residences->on_change(residences->ctx, model);
}

int residence_call(struct model *model, const struct adapter_call *what, int64_t time_ms,
		   call_done *done)
{
	return catalog_call(model->server, what, model->name, (int)time_ms, done, model,
			    &model->call);
}

struct residences *residences_of(const struct model *model)
{
	return model->server->catalog->residences;
}

void residence_look_for(void *ctx, const struct adapter_model *found)
{
	struct loaded_search *search = ctx;

	if (!adapter_same_model(search->model->server->adapter, found->name, search->model->name)) {
		if (residence_is_placed(search->model, found->name))
			search->placed = true;
		else
			search->other = true;
		return;
	}
	search->found = true;
	search->bytes = found->bytes;
}

bool residence_read_loaded(const struct call_answer *answer, struct loaded_search *search)
{
	const struct adapter *adapter = search->model->server->adapter;

	if (answer->err || !adapter->read_loaded)
		return false;
	if (answer->status == 200)
		return adapter->read_loaded(answer->body, answer->length, residence_look_for,
					    search);
	return answer->status >= 400 && adapter->read_none &&
	       adapter->read_none(answer->body, answer->length);
}

struct mono_ms residence_look_again_at(const struct model *model, struct mono_ms now)
{
	const struct model_server *server = model->server;

	if (!server->cmd)
		return mono_after(now, CHECK_MS);
	return server->idle_ms ? mono_after(now, server->idle_ms) : MONO_NEVER;
}

static bool loads_by_requests(const struct model *model)
{
	const struct model_server *server = model->server;

	return server->adapter->loaded.method && !server->adapter->load.method && !server->cmd &&
	       !server->worker;
}

/* Should its client leave, the load may come after it. */
void residence_asked(struct model *model, struct mono_ms now)
{
	if (!loads_by_requests(model) || model->answered)
		return;
	model->load_pending = true;
	model->asked_at = now;
}

void residence_answered(struct model *model)
{
	if (!loads_by_requests(model))
		return;
	model->answered = true;
	model->load_pending = false;
}

/* A load that nobody waits for any more is not seen yet. */
static bool may_come(struct model *model, struct mono_ms now)
{
	int64_t load_ms_max = residences_of(model)->load_ms_max;

	return model->load_pending && loads_by_requests(model) &&
	       mono_since(now, model->asked_at) < load_ms_max;
}

/* Of one that has one model at a time any other one would answer in its name: it is looked at
 * while it works, too. */
static bool is_looked_at(const struct model *model)
{
	return model->running == 0 || server_has_one_place(model->server);
}

/* Whether what was ready still is: its server may have ended, or given its memory back by itself.
 */
static void on_checked(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct loaded_search search = {.model = model};
	struct mono_ms now = loop_now();
	bool gone = answer->nobody;

	model->call = NULL;
	if (model->residence != RESIDENCE_READY || !is_looked_at(model))
		return; /* residence_worked looks again */

	gone |= residence_read_loaded(answer, &search) && !search.found && !may_come(model, now);
	model->load_pending &= !search.found;
	if (gone && model->running == 0) {
		residence_give_back(residences_of(model), model, now);
		return;
	}
	model->leaves |= gone; /* what runs there ends by itself */
	model->due = mono_after(now, CHECK_MS);
}

static void check_ready(struct model *model, struct mono_ms now)
{
	const struct adapter *adapter = model->server->adapter;
	const struct adapter_call *check =
		adapter->loaded.method ? &adapter->loaded : &adapter->list;

	model->due = MONO_NEVER;
	if (!is_looked_at(model))
		return;
	if (model->server->cmd) { /* it was idle for as long as it may be */
		residence_unload(residences_of(model), model, now);
		return;
	}
	if (model->call || residence_call(model, check, RESIDENCE_CALL_MS, on_checked) != 0)
		model->due = mono_after(now, CHECK_MS);
}

enum { AGAIN_BYTES = 17 };

/* By what its claim is found after a restart: not by its names alone, since another server may
 * stand behind them then. */
static void say_again(const struct model_server *server, const char *name,
		      char ret_again[AGAIN_BYTES])
{
	const char *const parts[] = {server->adapter->kind, server->url, name};
	uint64_t hash = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		hash = hash_bytes(hash, parts[i], strlen(parts[i]) + 1);
	snprintf(ret_again, AGAIN_BYTES, "%016" PRIx64, hash);
}

static void ask_memory(struct residences *residences, struct model *model, enum lease_class cls,
		       struct mono_ms since, struct mono_ms now)
{
	const struct model_server *server = model->server;
	char again[AGAIN_BYTES];
	struct lease_ask ask = {
		.party = residences->party_next,
		.name = server->name,
		.principal = "gateway",
		.label = model->name,
		.again = again,
		.cls = cls,
		.vram_bytes = model_vram_bytes(model),
		.gpu_mask = server->gpu_mask,
		.evictable = server->adapter->unload.method != NULL || server->cmd,
		.preemptible = true,
		.loads = true,
		.uninterruptible_ms = residences->finish_ms + END_MS,
		.waited_ms = mono_since(now, since),
		.timeout_ms = -1,
	};

	say_again(server, model->name, again);
	residences->party_next += 2;
	model->party = ask.party;
	model->cls = cls;
	residence_enter(model, RESIDENCE_QUEUED, since);
	residences->port->acquire(residences->port->ctx, &ask);
}

/* One of a label that was cut off, until its server's list says how it is called. */
struct kept_model {
	struct list link; /* residences.kept */
	uint64_t lease;
	char server[LIMIT_ID_BYTES + 1], again[AGAIN_BYTES];
};

static void free_kept(struct kept_model *kept)
{
	list_remove(&kept->link);
	free(kept);
}

static void remember_kept(struct residences *residences, const struct lease_kept *from)
{
	struct kept_model *kept = calloc(1, sizeof(*kept));

	if (!kept)
		abort();
	kept->lease = from->lease;
	snprintf(kept->server, sizeof(kept->server), "%s", from->name);
	snprintf(kept->again, sizeof(kept->again), "%s", from->again);
	list_init(&kept->link);
	list_append(&residences->kept, &kept->link);
}

static bool is_called_again(const struct model_server *server, const char *name, const char *again)
{
	char said[AGAIN_BYTES];

	say_again(server, name, said);
	return strcmp(said, again) == 0;
}

static struct model *model_called_again(const struct model_server *server, const char *again)
{
	server_models(model, server) if (is_called_again(server, model->name, again)) return model;
	return NULL;
}

static bool take_up(struct residences *residences, struct model *model, uint64_t lease,
		    struct mono_ms now)
{
	if (model->residence != RESIDENCE_NONE)
		return false;
	model->resumed = true;
	model->lease = lease;
	ask_memory(residences, model, LEASE_BACKGROUND, now, now);
	return true;
}

bool residence_resume(struct residences *residences, struct model_server *server,
		      const struct lease_kept *kept, struct mono_ms now)
{
	struct model *model = is_called_again(server, kept->label, kept->again)
				      ? catalog_model(server, kept->label)
				      : model_called_again(server, kept->again);

	if (model)
		return take_up(residences, model, kept->lease, now);
	if (!kept->cut || !server->list_call)
		return false;
	remember_kept(residences, kept);
	return true;
}

void residence_listed(const struct model_server *server, struct mono_ms now)
{
	struct residences *residences = server->catalog->residences;

	list_each (it, next, &residences->kept) {
		struct kept_model *kept = container_of(it, struct kept_model, link);
		struct model *model = model_called_again(server, kept->again);

		if (strcmp(kept->server, server->name) != 0)
			continue;
		if (!model || !take_up(residences, model, kept->lease, now))
			log_event(residences->log, LOG_WARN,
				  "a model is not in its server's list any more; its memory is "
				  "kept for a while, and nobody unloads it",
				  log_str("server", server->name),
				  log_int("lease", (int64_t)kept->lease));
		free_kept(kept);
	}
}

void residences_finish(struct residences *residences)
{
	list_each (it, next, &residences->kept)
		free_kept(container_of(it, struct kept_model, link));
}

int residence_want(struct residences *residences, struct model *model,
		   const struct switch_cause *cause, struct mono_ms now)
{
	struct switch_log *switches = residences->switches;

	if (model->residence == RESIDENCE_QUEUED && cause->cls < model->cls) {
		residences->port->gone(residences->port->ctx, model->party);
		switch_log_blame(switches, model->switching, cause);
		ask_memory(residences, model, cause->cls, model->since, now);
		return 0;
	}
	bool failed = model->failures > 0 && mono_before(now, model->retry_at);
	if (failed &&
	    (model->residence == RESIDENCE_NONE || model->residence == RESIDENCE_UNLOADING))
		return -ERR_MODEL_FAILED;
	if (model->residence != RESIDENCE_NONE)
		return 0;
	if (model_vram_bytes(model) == 0) {
		residence_failed(residences, model, now,
				 "how much memory it needs is not known; set vram_mb in the "
				 "configuration");
		return -ERR_MODEL_FAILED;
	}

	model->switching = switch_log_begin(switches, model->name, model->server->name, cause, now,
					    loop_wall_now());
	ask_memory(residences, model, cause->cls, now, now);
	return 0;
}

void residence_unwanted(struct residences *residences, struct model *model)
{
	if (model->awaits_place)
		residence_give_back(residences, model, loop_now());
	if (model->residence != RESIDENCE_QUEUED)
		return;
	residences->port->gone(residences->port->ctx, model->party);
	residence_forget_claim(model);
	residence_enter(model, RESIDENCE_NONE, model->since);
}

void residence_worked(struct residences *residences, struct model *model, struct mono_ms now)
{
	if (model->running > 0 || model->server->worker) /* a tab says by itself what it has */
		return;
	if (model->residence == RESIDENCE_LEAVING ||
	    (model->residence == RESIDENCE_READY && model->leaves))
		residence_unload(residences, model, now);
	else if (model->residence == RESIDENCE_READY && server_has_one_place(model->server))
		model->due = mono_min(model->due, residence_look_again_at(model, now));
	else if (model->residence == RESIDENCE_READY)
		model->due = residence_look_again_at(model, now);
}

void residence_told(struct residences *residences, struct model *model)
{
	if (!model->ready_untold)
		return;
	model->ready_untold = false;
	residences->port->ready(residences->port->ctx, model->party, &model->token);
}

void residence_retire(struct residences *residences, struct model *model, struct mono_ms now)
{
	residence_unwanted(residences, model);
	if (model->residence == RESIDENCE_LOADING && model->server->cmd) {
		residence_unload(residences, model, now);
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

/* As the end of a sentence. */
static void say_why_ended(const struct send_effect *send, char *ret_what, size_t size)
{
	const char *words = "an operator ended its wait";

	if (send->msg == SEND_DENIED)
		words = send->err == ERR_NEVER_FITS ? send->detail : err_text(send->err);
	size_t length = strlen(words);
	bool stops = length > 0 && words[length - 1] == '.';
	snprintf(ret_what, size, "%.*s", (int)(length - stops), words);
}

/* Its claim is over without its doing. */
static void claim_ended(struct residences *residences, struct model *model,
			const struct send_effect *send, struct mono_ms now)
{
	bool waited = model->residence == RESIDENCE_QUEUED;
	char what[160];

	residence_forget_claim(model);
	if (!waited || model->resumed) {
		residence_unload(residences, model, now);
		return;
	}

	say_why_ended(send, what, sizeof(what));
	residence_failed(residences, model, now, what);
	if (send->msg == SEND_DENIED && send->err == ERR_NEVER_FITS)
		model->failure_err = ERR_NEVER_FITS;
	residence_enter(model, RESIDENCE_NONE, now);
	residence_changed(residences, model);
}

/* It was in memory when the last broker ended. Commands end with their broker; a server goes on,
 * and is asked what it has. One that was loading heard its client end: whether it goes on, nobody
 * knows. */
static void go_on(struct residences *residences, struct model *model, bool loading,
		  struct mono_ms now)
{
	if (model->server->cmd || loading) {
		model->load_pending = loading;
		residence_unload(residences, model, now);
		return;
	}
	model->resumed = false;
	residence_enter(model, RESIDENCE_READY, now);
	residence_asked(model, now); /* its first request may have been cut off with the broker */
	residences->port->ready(residences->port->ctx, model->party, &model->token);
	check_ready(model, now);
	residence_changed(residences, model);
}

static void note_claim(struct residences *residences, struct model *model, uint64_t claim)
{
	model->lease = claim;
	switch_log_claim(residences->switches, model->switching, claim);
}

static void begin_tenure(struct residences *residences, struct model *model,
			 const struct send_effect *send, struct mono_ms now)
{
	bool another = model->lease != send->lease; /* the old one ended, and this was free */

	note_claim(residences, model, send->lease);
	model->token = send->token;
	model->gpus = send->gpus;
	if (model->resumed && another)
		residence_unload(residences, model, now);
	else if (model->resumed)
		go_on(residences, model, send->state == CLAIM_LOADING, now);
	else
		residence_load(residences, model, now);
}

static void load_took_too_long(struct residences *residences, struct model *model,
			       struct mono_ms now)
{
	char what[160];

	snprintf(what, sizeof(what), "it was not loaded within %" PRId64 " s (timing.load_max_s)",
		 residences->load_ms_max / 1000);
	if (!model->awaits_place)
		residence_failed(residences, model, now, what);
	residence_unload(residences, model, now);
}

/* Whoever needed the room has left. */
static void stay_after_all(struct residences *residences, struct model *model, struct mono_ms now)
{
	if (model->residence != RESIDENCE_LEAVING)
		return;
	residence_enter(model, RESIDENCE_READY, now);
	model->due = residence_look_again_at(model, now);
	residence_changed(residences, model);
}

/* Its claim ended before it was asked for again. */
static void not_there_any_more(struct residences *residences, struct model *model)
{
	residence_unwanted(residences, model);
	residence_changed(residences, model);
}

static void asked_to_leave(struct residences *residences, struct model *model,
			   const struct send_effect *send, struct mono_ms now)
{
	/* What runs may not use up the time in which the memory is given back. */
	int64_t cut_ms = send->grace_ms - send->grace_ms / 4;

	if (send->msg != SEND_YIELD)
		residence_leave(residences, model, 0, now);
	else
		residence_leave_for(residences, model, send->other, cut_ms, now);
}

bool residence_news(struct residences *residences, uint64_t party, const struct send_effect *send,
		    struct mono_ms now)
{
	struct model *model = model_of_party(residences, party);
	enum send_kind msg = send->msg;

	if (!model)
		return false;

	if (msg == SEND_QUEUED && model->resumed)
		not_there_any_more(residences, model);
	else if (msg == SEND_QUEUED)
		note_claim(residences, model, send->lease);
	else if (msg == SEND_GRANTED)
		begin_tenure(residences, model, send, now);
	else if (msg == SEND_REVOKED && send->reason == YIELD_LOAD_MAX)
		load_took_too_long(residences, model, now);
	else if (msg == SEND_YIELD || msg == SEND_REVOKED)
		asked_to_leave(residences, model, send, now);
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
		residence_ask_unload(residences, model,
				     now); /* a load that was cut off may have come after */
	else if (model->residence == RESIDENCE_LOADING && model->server->cmd)
		residence_ask_ready(residences, model, now);
	else if (model->residence == RESIDENCE_LOADING)
		residence_load_single(residences, model, now);
	else if (model->residence == RESIDENCE_LEAVING)
		residence_changed(residences, model); /* what still runs is cut */
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
