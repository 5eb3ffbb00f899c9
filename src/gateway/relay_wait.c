/* relay_wait: until the model is in memory and the turn is there. */
#include <stdio.h>

#include "base/err.h"
#include "base/text.h"
#include "core/send.h"
#include "gateway/gateway_impl.h"
#include "gateway/lease_port.h"
#include "gateway/model.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"
#include "net/loop.h"

enum { TAKEN_BACK_MS = 1000 };

struct mono_ms relay_patience(const struct gateway *gateway, const struct relay *relay)
{
	return mono_after(relay->since, relay->streams ? gateway->options.stream_wait_ms
						       : gateway->options.whole_wait_ms);
}

/* `waited_ms` before, for the same: its place in the queue. */
static void want_turn_at(struct gateway *gateway, struct relay *relay, int64_t waited_ms,
			 struct mono_ms now)
{
	struct lease_ask ask = {
		.party = gateway->party_next,
		.name = relay_public_name(relay),
		.principal = relay->principal,
		.label = relay->model->server->principal ? "" : relay->model->name, /* all see it */
		.cls = relay->cls,
		.slots = 1,
		.uses = relay->model->lease,
		.gpu_mask = relay->model->gpus,
		.preemptible = !relay->route->whole,
		.uninterruptible_ms = gateway->options.finish_ms,
		.waited_ms = waited_ms,
		.timeout_ms = -1, /* relay.due is its own */
	};

	if (relay_join(gateway, relay, now))
		return;
	gateway->party_next += 2;
	relay->party = ask.party;
	relay->claim = 0;
	relay->stage = RELAY_TURN;
	gateway->port->acquire(gateway->port->ctx, &ask);
}

static void want_turn(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	want_turn_at(gateway, relay, mono_since(now, relay->since), now);
}

static void refuse_failed(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	const struct model *model = relay->model;
	cleanup_text struct text words = {0};

	text_format(&words, "The model `%s` of `%s` failed: %s.", model->name, model->server->name,
		    model->failure);
	relay_fail(gateway, relay, model->failure_err, words.bytes, model_retry_ms(model, now));
}

static int want_memory(struct gateway *gateway, struct model *model, const struct relay *relay,
		       struct mono_ms now)
{
	const struct switch_cause cause = {relay_client(relay), relay->principal, relay->cls};

	return residence_want(&gateway->residences, model, &cause, now);
}

void relay_want_model(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	struct model *model = relay->model;

	relay->had_worker |= model->server->worker != NULL;
	if (!server_has_room(model->server)) {
		relay->model = NULL; /* it may leave meanwhile, and another have room first */
		relay->stage = RELAY_WORKER;
		return;
	}
	if (!model->server->on_gpu && !model->server->takes_turns) {
		relay_forward(gateway, relay, now);
		return;
	}
	if (model->residence == RESIDENCE_READY && !model->leaves) {
		want_turn(gateway, relay, now);
		return;
	}

	/* In the list first: a load may end at once. */
	relay->stage = RELAY_MODEL;
	list_append(&model->waiting, &relay->in_model);
	if (want_memory(gateway, model, relay, now) != 0) {
		list_remove(&relay->in_model);
		refuse_failed(gateway, relay, now);
	}
}

static void turns_for_all(struct gateway *gateway, struct model *model, struct mono_ms now)
{
	list_each (it, next, &model->waiting) {
		struct relay *relay = container_of(it, struct relay, in_model);
		list_remove(&relay->in_model);
		want_turn(gateway, relay, now);
	}
}

/* Who waits for its turn waits for the model again: it is on its way out. */
static void back_to_the_model(struct gateway *gateway, struct model *model)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay->model != model || relay->stage != RELAY_TURN)
			continue;
		gateway->port->gone(gateway->port->ctx, relay->party);
		relay->party = relay->lease = 0;
		relay->stage = RELAY_MODEL;
		list_append(&model->waiting, &relay->in_model);
	}
}

/* Its time to finish is over. */
static void cut_running(struct gateway *gateway, struct model *model)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay->model != model)
			continue;
		if (relay->stage == RELAY_FORWARDED)
			relay_fail(gateway, relay, ERR_OUTRANKED, err_text(ERR_OUTRANKED), 0);
		else if (relay->stage == RELAY_SETTLING)
			relay_stop_settling(gateway, relay);
	}
}

/* The first of the highest class. */
static const struct relay *foremost_waiter(const struct model *model)
{
	const struct relay *first = container_of(model->waiting.next, struct relay, in_model);

	list_each (it, next, &model->waiting) {
		const struct relay *relay = container_of(it, struct relay, in_model);
		first = relay->cls < first->cls ? relay : first;
	}
	return first;
}

/* It is on its way out of memory, or has left: it is asked for anew, for all who wait, or they hear
 * why not. */
static void ask_again(struct gateway *gateway, struct model *model, struct mono_ms now)
{
	if (list_empty(&model->waiting) ||
	    want_memory(gateway, model, foremost_waiter(model), now) == 0)
		return;

	while (!list_empty(&model->waiting))
		refuse_failed(gateway, container_of(model->waiting.next, struct relay, in_model),
			      now);
}

void relay_model_changed(struct gateway *gateway, struct model *model)
{
	struct mono_ms now = loop_now();

	if (model->residence == RESIDENCE_READY) {
		turns_for_all(gateway, model, now);
	} else if (model->residence == RESIDENCE_LEAVING) {
		back_to_the_model(gateway, model);
		if (model->due.v == MONO_NEVER.v)
			cut_running(gateway, model);
		residence_worked(&gateway->residences, model, now);
	} else if (model->residence == RESIDENCE_UNLOADING || model->residence == RESIDENCE_NONE) {
		back_to_the_model(gateway, model);
		ask_again(gateway, model, now);
	}
}

/* A tab that cannot stop has stopped: the turn of a client that left ends with it. */
static void end_settled(struct gateway *gateway)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay->stage == RELAY_SETTLING && relay->model->server->takes_turns &&
		    relay->model->server->running == 0)
			relay_end(gateway, relay, "left");
	}
}

void relay_worker_left(struct gateway *gateway, const struct model_server *server)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (!relay->model || relay->model->server != server)
			continue;
		if (relay->stage == RELAY_SETTLING) {
			relay_end(gateway, relay, "left");
			continue;
		}
		relay_leave_queue(gateway, relay);
		relay->model = NULL;
		relay->stage = RELAY_WORKER;
	}
}

/* Whoever comes first of the highest class is asked first. */
void relay_worker_changed(struct gateway *gateway)
{
	struct mono_ms now = loop_now();

	end_settled(gateway);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		list_each (it, next, &gateway->relays) {
			struct relay *relay = container_of(it, struct relay, link);
			if (relay->stage == RELAY_WORKER && relay->cls == (enum lease_class)cls)
				relay_resolve(gateway, relay, now);
		}
	}
}

struct relay *relay_of_party(const struct gateway *gateway, uint64_t party)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay->party == party)
			return relay;
	}
	return NULL;
}

static void begin_turn(struct gateway *gateway, struct relay *relay, const struct send_effect *send)
{
	struct mono_ms now = loop_now();

	relay->lease = send->lease;
	relay->fence = send->fence;
	relay->token = send->token;
	relay->outranked = false;
	relay->turn_since = now;
	uint64_t party = relay->party;

	if (!server_has_room(relay->model->server)) { /* it was given another one meanwhile */
		relay_give_back(gateway, relay);
		relay_resolve(gateway, relay, now);
		return;
	}
	if (relay->model->residence == RESIDENCE_READY) {
		relay_forward(gateway, relay, now);
		relay_take_along(gateway, party, now);
		return;
	}

	/* It left meanwhile: a request now would bring it back past the queue. */
	relay_give_back(gateway, relay);
	residence_worked(&gateway->residences, relay->model, now);
	relay_want_model(gateway, relay, now);
}

/* At its hold limit a turn is over for those who had all of it; whoever joined it later had not. */
static bool is_cut_short(const struct gateway *gateway, const struct relay *relay,
			 enum yield_reason reason, struct mono_ms now)
{
	int64_t most_ms = gateway->options.hold_ms_max[relay->cls];

	return reason == YIELD_PREEMPTED ||
	       (reason == YIELD_HOLD_MAX && mono_before(relay->turn_since, relay->granted) &&
		mono_since(now, relay->granted) < most_ms);
}

/* One that has not answered yet can be asked again later, in its old place, or behind who waited
 * for the end of the turn; one that has goes on for as long as its grace lets it. */
static void give_way(struct gateway *gateway, struct relay *relay, const struct send_effect *send)
{
	bool first = !relay->outranked;
	bool stops = !relay->model->server->takes_turns;
	bool whole = relay->body_complete && !relay->body_passed;
	struct mono_ms now = loop_now();

	relay->outranked = true;
	if (relay->stage == RELAY_SETTLING)
		relay_hurry(relay, send->grace_ms);
	if (relay->stage != RELAY_FORWARDED || relay->answered || !first || !whole || !stops ||
	    !is_cut_short(gateway, relay, send->reason, now))
		return;

	/* Not to and fro: asked again at once it rather goes on for its grace. */
	if (relay->taken_back && mono_since(now, relay->granted) < TAKEN_BACK_MS)
		return;

	relay_cancel(gateway, relay);
	relay->body_sent = 0;
	relay->taken_back = true;
	relay->model->running--;
	relay->due = relay_patience(gateway, relay);
	if (relay->turn || relay_hand_on(gateway, relay)) { /* that one goes on without it */
		relay->turn = relay->lease = 0;
		if (send->reason == YIELD_PREEMPTED)
			want_turn(gateway, relay, now);
		else
			want_turn_at(gateway, relay, 0, now);
		return;
	}
	relay->stage = RELAY_TURN;
	gateway->port->release(gateway->port->ctx, relay->party, &relay->token, true);
	residence_worked(&gateway->residences, relay->model, now);
}

/* Its holder last: the turn is given back by who is left of them. */
static void all_give_way(struct gateway *gateway, struct relay *host,
			 const struct send_effect *send)
{
	bool asked = host->outranked;

	host->outranked = true; /* nobody joins any more */
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay->turn && relay->turn == host->party)
			give_way(gateway, relay, send);
	}
	host->outranked = asked;
	give_way(gateway, host, send);
}

/* Nobody needs its turn any more. */
static void all_go_on(struct gateway *gateway, struct relay *host)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (relay != host && (!relay->turn || relay->turn != host->party))
			continue;
		relay->outranked = false;
		if (relay->stage == RELAY_SETTLING)
			relay_hurry(relay, 0);
	}
}

static void turn_refused(struct gateway *gateway, struct relay *relay,
			 const struct send_effect *send)
{
	int err = send->msg == SEND_DENIED ? send->err : ERR_RELEASED;
	char words[LIMIT_REASON_BYTES + 128];

	relay->party = relay->lease = 0;
	snprintf(words, sizeof(words), "%s%s%s", err_text(err), send->detail[0] ? " " : "",
		 send->detail);
	relay_fail(gateway, relay, err, words, 0);
}

void relay_news(struct gateway *gateway, struct relay *relay, const struct send_effect *send)
{
	enum send_kind msg = send->msg;
	bool lost = msg == SEND_REVOKED || msg == SEND_DENIED || msg == SEND_TIMEOUT ||
		    (msg == SEND_RELEASED && send->end != END_NONE);

	if (lost)
		relay_turn_lost(gateway, relay->party);
	if (msg == SEND_QUEUED)
		relay->claim = send->lease;
	else if (msg == SEND_GRANTED)
		begin_turn(gateway, relay, send);
	else if (msg == SEND_YIELD)
		all_give_way(gateway, relay, send);
	else if (msg == SEND_KEEP)
		all_go_on(gateway, relay);
	else if (msg == SEND_REVOKED && relay->stage == RELAY_SETTLING)
		relay_stop_settling(gateway, relay);
	else if (msg == SEND_REVOKED)
		relay_fail(gateway, relay, ERR_OUTRANKED, err_text(ERR_OUTRANKED), 0);
	else if (lost) /* and not of its own `requeue` */
		turn_refused(gateway, relay, send);
}

void relay_leave_queue(struct gateway *gateway, struct relay *relay)
{
	if (relay->stage == RELAY_MODEL) {
		list_remove(&relay->in_model);
		if (list_empty(&relay->model->waiting))
			residence_unwanted(&gateway->residences, relay->model);
	} else if (relay->stage == RELAY_TURN) {
		if (relay->party)
			gateway->port->gone(gateway->port->ctx, relay->party);
		relay->party = 0;
	}
}

void relay_give_back(struct gateway *gateway, struct relay *relay)
{
	if (relay->turn)
		relay->turn = relay->lease = 0;
	if (!relay->party || relay_hand_on(gateway, relay))
		return;
	gateway->port->release(gateway->port->ctx, relay->party, &relay->token, false);
	relay->party = relay->lease = 0;
}
