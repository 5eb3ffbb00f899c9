/* proxy_ask: whether a server has a prompt that may have been sent to it: the broker ended, or the
 * connection broke, between the sending and the answer. Its queue is looked at before its history,
 * for a prompt moves from one to the other. What it does not know is sent again: a picture made
 * twice costs a minute, one that is lost is gone. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "gateway/adapter_read.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/proxied.h"
#include "gateway/proxy_impl.h"
#include "net/loop.h"

enum { ASK_TIME_MS = 10 * 1000, BODY_BYTES_MAX = 4 * 1024 * 1024 };

static void ask_for(struct proxied *p, const struct adapter_call *what, call_done *done);

static void send_again(struct proxied *p)
{
	log_event(p->gateway->log, LOG_INFO, "a prompt that may have been sent is not known there",
		  log_str("server", p->model->server->name), log_str("model", p->label));
	proxied_want_model(p, loop_now());
}

/* It knows neither more nor less than before. */
static void ask_later(struct proxied *p, const char *why)
{
	if (!proxied_put_off(p, why))
		proxied_fail(p, ERR_UPSTREAM_UNREACHABLE, why, 0);
}

/* False: it ended, or is asked again. */
static bool is_answer(struct proxied *p, const struct call_answer *answer)
{
	struct model *other = proxy_model(p->gateway, p->model->server->name);

	p->call = NULL;
	if (!other || !other->server->on_gpu) {
		proxied_fail(p, ERR_NOT_FOUND, "Its server was removed.", 0);
		return false;
	}
	if (other != p->model) { /* that one has gone meanwhile */
		p->model = other;
		gateway_look_later(p->gateway);
		proxied_try_again(p, loop_now());
		return false;
	}
	if (answer->err == ERR_TOO_LARGE || (answer->err == 0 && answer->status < 500))
		return true;
	ask_later(p, answer->err ? answer->what : "it does not say what it has");
	return false;
}

static void on_history(void *ctx, const struct call_answer *answer)
{
	struct proxied *p = ctx;
	bool done;

	if (!is_answer(p, answer))
		return;
	done = answer->err || /* too long to be of nothing */
	       (answer->status == 200 &&
		adapter_read_history(answer->body, answer->length, p->known_as));
	if (done)
		proxied_end(p, "ok");
	else
		send_again(p);
}

static void on_queue(void *ctx, const struct call_answer *answer)
{
	struct proxied *p = ctx;
	const struct adapter *adapter = p->model->server->adapter;
	int listed;

	if (!is_answer(p, answer))
		return;
	/* One that is too long to be read may have it, or not. */
	listed = answer->err ? 0 : adapter->read_busy(answer->body, answer->length, p->known_as);
	if (listed < 0) {
		ask_later(p, "it does not say what it has");
	} else if (listed == 0) {
		ask_for(p, &adapter->history, on_history);
	} else {
		proxied_take_prompt(p, p->known_as);
		proxied_want_turn(p, loop_now());
	}
}

static void ask_for(struct proxied *p, const struct adapter_call *what, call_done *done)
{
	if (catalog_call(p->model->server, what, p->known_as, ASK_TIME_MS, done, p, &p->call) != 0)
		ask_later(p, err_text(ERR_NO_MEMORY));
}

/* The id that its client gave it counts before the one that was put in. */
static void name_prompt(struct proxied *p)
{
	size_t length = p->held->bytes <= BODY_BYTES_MAX ? p->held->bytes : 0, at = 0;
	char *body = malloc(length + 1);
	int n = 1;

	if (!body)
		abort();
	p->held->at = 0;
	while (at < length && n > 0) {
		n = held_read(p->held, body + at, length - at);
		at += n > 0 ? (size_t)n : 0;
	}
	p->held->at = 0;
	adapter_read_prompt(body, at, p->known_as, sizeof(p->known_as));
	free(body);
	if (!p->known_as[0])
		snprintf(p->known_as, sizeof(p->known_as), "%s", p->id);
}

void proxied_try_again(struct proxied *p, struct mono_ms now)
{
	p->due = MONO_NEVER;
	if (p->held->sending && proxied_is_prompt(p))
		name_prompt(p);
	if (!p->held->sending || !p->known_as[0]) {
		proxied_want_model(p, now);
		return;
	}
	p->stage = PROXIED_ASKING;
	ask_for(p, &p->model->server->adapter->busy, on_queue);
}
