/* residence_single: loads at a server that has one model at a time, and puts it out for the next
 * one. Its place is waited for, what it has is looked at, and only then it is told to load: a model
 * that it was started with, or that somebody loaded past Baton, leaves first, so that what the list
 * shows afterwards is what was asked for. */
#include <string.h>

#include "gateway/adapter.h"
#include "gateway/catalog.h"
#include "gateway/residence.h"
#include "gateway/residence_impl.h"
#include "net/loop.h"

enum {
	PLACE_POLL_MS = 250,
	STAY_MS = 10 * 1000,    /* in the place, while others wait for it */
	RESTART_MS = 30 * 1000, /* for such a server to be there again */
};

static void look_again(struct model *model, struct mono_ms now)
{
	model->due = mono_after(now, PLACE_POLL_MS);
}

/* Who came for it has had a turn first: without, each load would only undo the last. */
static bool may_stay(const struct residences *residences, const struct model *model,
		     struct mono_ms now)
{
	if (!residences->is_wanted(residences->ctx, model))
		return false;
	return !model->worked || mono_since(now, model->since) < STAY_MS;
}

/* Until it is known what the last broker's models have, each of them may have the place. */
static bool has_place(const struct model *model)
{
	if (model->residence == RESIDENCE_NONE || model->awaits_place)
		return false;
	return model->residence != RESIDENCE_QUEUED || model->resumed;
}

/* Behind two names there may be one server: it was renamed. */
static bool is_same_server(const struct model_server *a, const struct model_server *b)
{
	return a->url && b->url && !strcmp(a->url, b->url);
}

bool residence_is_placed(const struct model *model, const char *name)
{
	const struct adapter *adapter = model->server->adapter;

	catalog_servers(server, model->server->catalog)
	{
		if (!adapter->single || !is_same_server(server, model->server))
			continue;
		server_models(other, server) if (other != model && has_place(other) &&
						 adapter_same_model(adapter, name,
								    other->name)) return true;
	}
	return false;
}

/* Whether another one has it, or has waited for it for longer. One that has it leaves, as if others
 * needed its memory. */
static bool must_wait(struct residences *residences, const struct model *model, struct mono_ms now)
{
	bool waits = false;

	catalog_servers(server, residences->catalog)
	{
		if (!is_same_server(server, model->server))
			continue;
		server_models(other, server)
		{
			waits |= other->awaits_place && mono_before(other->since, model->since);
			if (other == model || !has_place(other))
				continue;
			waits = true;
			if (other->residence == RESIDENCE_READY &&
			    !may_stay(residences, other, now))
				residence_leave_for(residences, other, model->lease,
						    residences->finish_ms, now);
		}
	}
	return waits;
}

static void ask_server(struct residences *residences, struct model *model,
		       const struct adapter_call *what, int64_t time_ms, call_done *done)
{
	if (residence_call(model, what, time_ms, done) == 0)
		return;
	model->load_pending = false;
	residence_load_failed(residences, model, loop_now(), "the call could not be made");
}

static void look_at_place(struct residences *residences, struct model *model, call_done *done)
{
	ask_server(residences, model, &model->server->adapter->loaded, RESIDENCE_CALL_MS, done);
}

/* What hinders, in words; or NULL. */
static const char *refusal_of(const struct model *model, const struct call_answer *answer)
{
	const struct adapter *adapter = model->server->adapter;

	if (answer->err)
		return answer->what;
	if (answer->status == 401 || answer->status == 403)
		return "the server refused its key";
	if (answer->status >= 400 ||
	    (adapter->read_done && !adapter->read_done(answer->body, answer->length)))
		return "the server did not do what it was told";
	return NULL;
}

/* What it has after it was told. One that restarts shows nothing, or is not there, for a
 * while. */
static void on_load_seen(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	struct loaded_search search = {.model = model};
	bool readable = residence_read_loaded(answer, &search);
	struct mono_ms now = loop_now();

	model->call = NULL;
	if (readable && search.found) {
		model->load_pending = false;
		residence_become_ready(residences, model, now);
	} else if (model->server->adapter->restarts && !search.other) {
		look_again(model, now);
	} else {
		model->load_pending = false;
		residence_load_failed(residences, model, now,
				      "the server was told to load it, and did not");
	}
}

static void on_load_asked(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	const char *refusal = refusal_of(model, answer);

	model->call = NULL;
	if (!refusal) {
		look_at_place(residences, model, on_load_seen);
		return;
	}
	model->load_pending = answer->err && !answer->nobody; /* it may come all the same */
	residence_load_failed(residences, model, loop_now(), refusal);
}

static void on_put_out(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	const char *refusal = refusal_of(model, answer);

	model->call = NULL;
	if (refusal && !answer->nobody)
		residence_load_failed(residences_of(model), model, loop_now(), refusal);
	else
		look_again(model, loop_now());
}

/* What it has before it is told. */
static void on_place_seen(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	struct residences *residences = residences_of(model);
	const struct adapter *adapter = model->server->adapter;
	struct loaded_search search = {.model = model};
	struct mono_ms now = loop_now();

	model->call = NULL;
	if (!residence_read_loaded(answer, &search)) {
		if (adapter->restarts && mono_since(now, model->since) < RESTART_MS)
			look_again(model, now);
		else
			residence_load_failed(residences, model, now,
					      answer->err ? answer->what
							  : "the server does not say what it has");
	} else if (search.found && !search.other) {
		residence_become_ready(residences, model, now);
	} else if (search.other && mono_since(now, model->since) >= residences->unload_ms_max) {
		residence_load_failed(residences, model, now,
				      "what the server had in its place did not leave");
	} else if (search.other) {
		ask_server(residences, model, &adapter->unload, RESIDENCE_CALL_MS, on_put_out);
	} else if (search.placed) {
		look_again(model, now);
	} else {
		model->load_pending = true;
		ask_server(residences, model, &adapter->load, residences->load_ms_max,
			   on_load_asked);
	}
}

void residence_load_single(struct residences *residences, struct model *model, struct mono_ms now)
{
	if (model->awaits_place && must_wait(residences, model, now)) {
		look_again(model, now);
		return;
	}
	if (model->awaits_place) /* its load begins now, and its time for that */
		residence_enter(model, RESIDENCE_LOADING, now);
	look_at_place(residences, model, model->load_pending ? on_load_seen : on_place_seen);
}
