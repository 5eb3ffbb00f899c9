/* residence_unload: from the wish that a model leaves until its server has given the memory back.
 * Proof is that its command and all it started are gone, that a connection there is refused, or
 * that the server does not list it as loaded, unless a load was cut off, which may come later. What
 * proves nothing is asked again for unload_ms_max, the time for which the core keeps the room of a
 * model that was revoked. */
#include <string.h>

#include "base/log.h"
#include "gateway/adapter.h"
#include "gateway/lease_port.h"
#include "gateway/process_port.h"
#include "gateway/residence.h"
#include "gateway/residence_impl.h"
#include "gateway/switch_log.h"
#include "net/loop.h"

enum {
	UNLOAD_POLL_MS = 250,
	UNLOAD_CALL_MS = 10 * 1000,
};

void residence_give_back(struct residences *residences, struct model *model, struct mono_ms now)
{
	uint64_t party = model->party;
	struct token token = model->token;

	residence_forget_claim(model);
	residence_enter(model, RESIDENCE_NONE, now);
	if (party)
		residences->port->release(residences->port->ctx, party, &token, false);
	residence_changed(residences, model);
}

/* Nothing is proven yet: it is asked again, but not for ever. */
static void not_proven(struct residences *residences, struct model *model, struct mono_ms now)
{
	if (mono_since(now, model->since) < residences->unload_ms_max) {
		model->due = mono_after(now, UNLOAD_POLL_MS);
		return;
	}
	log_event(residences->log, LOG_WARN,
		  model->load_pending ? "a load that was cut off was not seen to come"
				      : "model still in memory after its unload",
		  log_str("model", model->name), log_str("server", model->server->name),
		  log_int("unload_max_ms", residences->unload_ms_max));
	residence_give_back(residences, model, now);
}

static void call_or_later(struct model *model, const struct adapter_call *what, call_done *done,
			  struct mono_ms now)
{
	model->due = MONO_NEVER;
	if (residence_call(model, what, UNLOAD_CALL_MS, done) != 0)
		not_proven(residences_of(model), model, now);
}

/* It is asked several times a second: the log says it once. */
static bool note_refusal(struct model *model, const struct call_answer *answer)
{
	const struct adapter *adapter = model->server->adapter;
	bool refused = answer->err || answer->status >= 400 ||
		       (adapter->read_done && !adapter->read_done(answer->body, answer->length));

	if (refused && !model->refusal_noted)
		log_event(residences_of(model)->log, LOG_WARN, "model server did not unload",
			  log_str("model", model->name), log_str("server", model->server->name),
			  log_int("status", answer->status),
			  log_str("why", answer->err ? answer->what : "it refused"));
	model->refusal_noted |= refused;
	return refused;
}

/* Once, and then its list is asked again: what restarts to unload would do it again. */
static void on_unload_asked(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;

	model->call = NULL;
	note_refusal(model, answer);
	not_proven(residences_of(model), model, loop_now());
}

/* A server that is gone has no memory, unless it is on its way back with what was asked for. What
 * its one place has is the memory that was lent, whatever its name, unless that was lent to another
 * one: then this one is not there, nor will be. */
static bool is_gone(const struct model *model, const struct call_answer *answer, bool readable,
		    const struct loaded_search *search)
{
	const struct adapter *adapter = model->server->adapter;

	if (answer->nobody)
		return !adapter->restarts || !model->load_pending;
	if (adapter->single && readable && search->placed)
		return true;
	return readable && !search->found && !model->load_pending &&
	       !(adapter->single && search->other);
}

static void on_unload_seen(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	const struct adapter *adapter = model->server->adapter;
	struct loaded_search search = {.model = model};
	struct mono_ms now = loop_now();
	bool readable;

	model->call = NULL;
	readable = residence_read_loaded(answer, &search);
	if (is_gone(model, answer, readable, &search))
		residence_give_back(residences, model, now);
	else if (adapter->single && readable && search.found + search.other > 0)
		call_or_later(model, &adapter->unload, on_unload_asked, now);
	else
		not_proven(residences, model, now);
	if (search.found)
		model->load_pending = false; /* it has come, and is unloaded like any other */
}

static void on_unloaded(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	const struct adapter *adapter = model->server->adapter;
	struct mono_ms now = loop_now();
	bool refused;

	model->call = NULL;
	refused = note_refusal(model, answer);

	if (adapter->loaded.method)
		call_or_later(model, &adapter->loaded, on_unload_seen, now);
	else if (refused && !answer->nobody)
		not_proven(residences, model, now);
	else
		residence_give_back(residences, model, now);
}

/* Of a command that is not ours any more: the last broker's, which ends with it. */
static void on_port_seen(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct mono_ms now = loop_now();

	model->call = NULL;
	if (answer->nobody)
		residence_give_back(residences_of(model), model, now);
	else
		not_proven(residences_of(model), model, now);
}

void residence_ask_unload(struct residences *residences, struct model *model, struct mono_ms now)
{
	const struct model_server *server = model->server;
	const struct adapter_call *unload = &server->adapter->unload;
	const struct adapter_call ready = {.method = "GET", .path = server->ready};

	model->due = MONO_NEVER;
	if (server->process) /* its end gives the memory back */
		residences->processes->stop(residences->processes->ctx, server->process);
	else if (server->cmd && model->resumed)
		call_or_later(model, &ready, on_port_seen, now);
	else if (server->cmd || !unload->method)
		residence_give_back(residences, model, now);
	else if (server->adapter->single || (model->load_pending && server->adapter->loaded.method))
		call_or_later(model, &server->adapter->loaded, on_unload_seen, now);
	else
		call_or_later(model, unload, on_unloaded, now);
}

void residence_unload(struct residences *residences, struct model *model, struct mono_ms now)
{
	if (model->awaits_place) { /* nothing of it is there */
		residence_give_back(residences, model, now);
		return;
	}
	call_cancel(model->call);
	model->call = NULL;
	residence_enter(model, RESIDENCE_UNLOADING, now);
	residence_changed(residences, model);
	residence_ask_unload(residences, model, now);
}

void residence_leave(struct residences *residences, struct model *model, int64_t time_ms,
		     struct mono_ms now)
{
	if (model->residence == RESIDENCE_UNLOADING)
		return;
	if (model->running == 0) {
		residence_unload(residences, model, now);
		return;
	}

	residence_enter(model, RESIDENCE_LEAVING, now);
	model->due =
		mono_after(now, time_ms < residences->finish_ms ? time_ms : residences->finish_ms);
	residence_changed(residences, model);
}

void residence_leave_for(struct residences *residences, struct model *model, uint64_t claim,
			 int64_t time_ms, struct mono_ms now)
{
	switch_log_leaves(residences->switches, claim, model->name, model->server->name, now);
	residence_leave(residences, model, time_ms, now);
}
