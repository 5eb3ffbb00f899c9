/* proxy_turn: until its server has its memory and the request its turn. Each request has a turn of
 * its own, so the next prompt is not sent before others had theirs. A picture in progress is not
 * asked to give way: it goes on until its class's hold limit, and then for its grace. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "core/send.h"
#include "gateway/adapter.h"
#include "gateway/gateway_impl.h"
#include "gateway/lease_port.h"
#include "gateway/model.h"
#include "gateway/proxied.h"
#include "gateway/proxy_impl.h"
#include "net/loop.h"

enum {
	PUT_OFF_MS = 15 * 1000,
	PUT_OFF_MS_MAX = 5 * 60 * 1000,
	TRIES_MAX = 100,
	STOP_TIME_MS = 10 * 1000
};

/* Nobody waits for its answer: it is tried again. */
static bool put_off(struct proxied *p, const char *why)
{
	int64_t delay_ms = PUT_OFF_MS;

	if (p->conn || !p->held || p->prompt[0] || p->tries >= TRIES_MAX)
		return false;
	for (unsigned i = 0; i < p->tries && delay_ms < PUT_OFF_MS_MAX; i++)
		delay_ms *= 2;
	delay_ms = delay_ms < PUT_OFF_MS_MAX ? delay_ms : PUT_OFF_MS_MAX;
	log_event(p->gateway->log, LOG_WARN, "a prompt that was kept cannot be sent yet",
		  log_str("server", p->model->server->name), log_str("why", why),
		  log_int("retry_ms", delay_ms));
	p->tries++;
	p->stage = PROXIED_PUT_OFF;
	p->due = mono_after(loop_now(), delay_ms);
	return true;
}

bool proxied_put_off(struct proxied *p, const char *why)
{
	bool ran = p->granted.v != MONO_NEVER.v;

	proxied_leave_queue(p);
	if (!put_off(p, why))
		return false;
	proxied_give_back(p);
	p->granted = MONO_NEVER;
	if (ran) {
		p->model->running--;
		residence_worked(&p->gateway->residences, p->model, loop_now());
	}
	return true;
}

static void refuse_turn(struct proxied *p, int err, const char *words, int64_t retry_ms)
{
	if (!proxied_put_off(p, words))
		proxied_fail(p, err, words, retry_ms);
}

static void refuse_failed(struct proxied *p, struct mono_ms now)
{
	const struct model *model = p->model;
	cleanup_text struct text words = {0};

	p->stage = PROXIED_RECEIVING; /* it stands in no list any more */
	text_format(&words, "`%s` failed: %s.", model->server->name, model->failure);
	refuse_turn(p, model->failure_err, words.bytes, model_retry_ms(model, now));
}

/* Its pages have no keys. */
static void name_principal(const struct model_server *server,
			   char ret_principal[LIMIT_PRINCIPAL_BYTES + 1])
{
	snprintf(ret_principal, LIMIT_PRINCIPAL_BYTES + 1, "pages:%s", server->name);
}

void proxied_want_turn(struct proxied *p, struct mono_ms now)
{
	struct gateway *gateway = p->gateway;
	const struct model_server *server = p->model->server;
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	struct lease_ask ask = {
		.party = gateway->party_next,
		.name = server->name,
		.principal = principal,
		.label = p->label,
		/* Turns end with their broker, places do not. */
		.again = p->held && !p->held->sending && !p->prompt[0] ? p->label : NULL,
		.cls = p->cls,
		.slots = 1,
		.uses = p->model->lease,
		.gpu_mask = p->model->gpus ? p->model->gpus : server->gpu_mask,
		.preemptible = false,
		.uninterruptible_ms = gateway->options.finish_ms,
		.waited_ms = mono_since(now, p->since),
		.timeout_ms = -1, /* p->due is its own */
	};

	name_principal(server, principal);
	gateway->party_next += 2;
	p->party = ask.party;
	p->claim = 0;
	p->stage = PROXIED_TURN;
	gateway->port->acquire(gateway->port->ctx, &ask);
}

/* Its server has its memory. */
static void model_is_there(struct proxied *p, struct mono_ms now)
{
	if (p->starts)
		proxied_answer_started(p);
	else
		proxied_want_turn(p, now);
}

void proxied_want_model(struct proxied *p, struct mono_ms now)
{
	struct gateway *gateway = p->gateway;
	const struct model_server *server = p->model->server;
	int64_t wait_ms = server->wait_ms ? server->wait_ms : gateway->options.whole_wait_ms;
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	const struct switch_cause cause = {server->name, principal, p->cls};

	name_principal(server, principal);
	p->due = p->conn ? mono_after(p->since, wait_ms) : MONO_NEVER;
	if (p->model->residence == RESIDENCE_READY && !p->model->leaves) {
		model_is_there(p, now);
		return;
	}
	p->stage = PROXIED_MODEL;
	if (residence_want(&gateway->residences, p->model, &cause, now) != 0)
		refuse_failed(p, now);
}

static bool somebody_waits(const struct gateway *gateway, const struct model *model)
{
	list_each (it, next, &gateway->proxied) {
		const struct proxied *p = container_of(it, struct proxied, link);
		if (p->model == model && p->stage == PROXIED_MODEL)
			return true;
	}
	return false;
}

void proxied_leave_queue(struct proxied *p)
{
	struct gateway *gateway = p->gateway;
	enum proxied_stage stage = p->stage;

	if (stage == PROXIED_MODEL || stage == PROXIED_TURN)
		p->stage = PROXIED_RECEIVING;
	if (stage == PROXIED_TURN && p->party) {
		gateway->port->gone(gateway->port->ctx, p->party);
		p->party = 0;
	}
	if (stage == PROXIED_MODEL && !somebody_waits(gateway, p->model))
		residence_unwanted(&gateway->residences, p->model);
}

void proxied_give_back(struct proxied *p)
{
	if (!p->party)
		return;
	p->gateway->port->release(p->gateway->port->ctx, p->party, &p->token, false);
	p->party = p->lease = 0;
}

struct proxied *proxied_of_party(const struct gateway *gateway, uint64_t party)
{
	list_each (it, next, &gateway->proxied) {
		struct proxied *p = container_of(it, struct proxied, link);
		if (p->party == party)
			return p;
	}
	return NULL;
}

static void begin_turn(struct proxied *p, const struct send_effect *send)
{
	struct mono_ms now = loop_now();

	p->lease = send->lease;
	p->token = send->token;
	if (!p->prompt[0] && p->model->residence != RESIDENCE_READY) { /* it left meanwhile */
		proxied_give_back(p);
		proxied_want_model(p, now);
		return;
	}

	p->granted = now;
	p->due = MONO_NEVER;
	p->model->running++;
	if (p->prompt[0]) /* sent by an earlier broker */
		proxied_begin_work(p, now);
	else if (p->websocket)
		proxied_open_socket(p);
	else
		proxied_forward(p);
}

/* The server hears that what it does is not wanted; whether it listens, nobody waits for. */
static void on_stopped(void *ctx, const struct call_answer *answer)
{
	struct model *model = ctx;
	(void)answer;
	model->stop_call = NULL;
}

void proxied_stop_work(struct proxied *p)
{
	struct model *model = p->model;
	const struct adapter_call *stop = &model->server->adapter->stop;

	call_cancel(model->stop_call);
	model->stop_call = NULL;
	if (stop->method && catalog_call(model->server, stop, p->prompt, STOP_TIME_MS, on_stopped,
					 model, &model->stop_call) != 0)
		model->stop_call = NULL;
}

static void cut_work(struct proxied *p)
{
	proxied_stop_work(p);
	proxied_fail(p, ERR_OUTRANKED, err_text(ERR_OUTRANKED), 0);
}

static bool is_running(const struct proxied *p)
{
	return p->takes_turn && p->granted.v != MONO_NEVER.v;
}

static void turn_refused(struct proxied *p, const struct send_effect *send)
{
	int err = send->msg == SEND_DENIED ? send->err : ERR_RELEASED;
	char words[LIMIT_REASON_BYTES + 128];

	p->party = p->lease = 0;
	if (is_running(p))
		proxied_stop_work(p);
	snprintf(words, sizeof(words), "%s%s%s", err_text(err), send->detail[0] ? " " : "",
		 send->detail);
	if (err == ERR_RELEASED)
		proxied_fail(p, err, words, 0);
	else
		refuse_turn(p, err, words, 0);
}

void proxied_news(struct proxied *p, const struct send_effect *send)
{
	enum send_kind msg = send->msg;

	if (msg == SEND_QUEUED)
		p->claim = send->lease;
	else if (msg == SEND_GRANTED)
		begin_turn(p, send);
	else if (msg == SEND_REVOKED)
		cut_work(p);
	else if (msg == SEND_DENIED || msg == SEND_TIMEOUT || msg == SEND_RELEASED)
		turn_refused(p, send);
}

static void back_to_the_model(struct proxied *p)
{
	p->gateway->port->gone(p->gateway->port->ctx, p->party);
	p->party = p->lease = 0;
	p->stage = PROXIED_MODEL;
}

static void follow_model(struct proxied *p, const struct model *model, struct mono_ms now)
{
	bool ready = model->residence == RESIDENCE_READY;

	if (ready && p->stage == PROXIED_MODEL)
		model_is_there(p, now);
	else if (model->residence == RESIDENCE_LEAVING && model->due.v == MONO_NEVER.v &&
		 is_running(p))
		cut_work(p);
	else if (!ready && p->stage == PROXIED_TURN && !p->prompt[0])
		back_to_the_model(p);
}

void proxied_model_changed(struct gateway *gateway, struct model *model)
{
	struct mono_ms now = loop_now();

	list_each (it, next, &gateway->proxied) {
		struct proxied *p = container_of(it, struct proxied, link);
		if (p->model == model)
			follow_model(p, model, now);
	}
	if (model->residence == RESIDENCE_LEAVING) /* nothing begins there */
		residence_worked(&gateway->residences, model, now);
	if (model->residence != RESIDENCE_NONE)
		return;
	list_each (it, next, &gateway->proxied) {
		struct proxied *p = container_of(it, struct proxied, link);
		if (p->model == model && p->stage == PROXIED_MODEL)
			proxied_want_model(p, now);
	}
}
