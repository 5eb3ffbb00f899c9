/* proxy_work: a server that answers before it works is asked whether it still does, and so is one
 * whose client left: only then does the turn go to others. One that is silent counts as ended after
 * silence_ms; one that always says that it works keeps the turn for as long as nobody else waits,
 * then the core's limits end it. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/adapter.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/proxied.h"
#include "gateway/proxy_impl.h"
#include "gateway/wait_words.h"
#include "net/loop.h"

enum {
	LOOK_MS_FIRST = 100,
	LOOK_MS_MAX = 1000,
	LOOK_TIME_MS = 10 * 1000,
	IDLE_TWICE = 2, /* what was asked for may begin after the first look */
};

static void finish_work(struct proxied *p, const char *outcome)
{
	held_drop(p->held);
	p->held = NULL;
	proxied_end(p, outcome);
}

static void look_later(struct proxied *p, struct mono_ms now)
{
	p->look_at = mono_after(now, p->pace_ms);
	p->pace_ms = p->pace_ms * 2 < LOOK_MS_MAX ? p->pace_ms * 2 : LOOK_MS_MAX;
}

static void not_heard(struct proxied *p, struct mono_ms now)
{
	const struct model_server *server = p->model->server;

	if (mono_since(now, p->heard_at) < server->silence_ms) {
		look_later(p, now);
		return;
	}
	log_event(p->gateway->log, LOG_WARN, "a server does not say whether it still works",
		  log_str("server", server->name), log_int("silence_ms", server->silence_ms));
	finish_work(p, err_name(ERR_UPSTREAM_SLOW));
}

static void on_looked(void *ctx, const struct call_answer *answer)
{
	struct proxied *p = ctx;
	const struct model_server *server = p->model->server;
	const struct adapter *adapter = server->adapter;
	struct mono_ms now = loop_now();
	int busy = -1;

	p->call = NULL;
	if (answer->err == 0 && answer->status == 200)
		busy = adapter->read_busy(answer->body, answer->length,
					  p->prompt[0] ? p->prompt : NULL);
	if (answer->err == ERR_TOO_LARGE) /* a long queue: it works */
		busy = 1;

	if (answer->nobody) {
		finish_work(p, err_name(ERR_UPSTREAM_UNREACHABLE));
		residence_server_gone(server, now); /* nothing runs there now */
	} else if (busy < 0) {
		not_heard(p, now);
	} else if (busy == 0 && (p->prompt[0] || ++p->idle_count >= IDLE_TWICE)) {
		finish_work(p, "ok");
	} else {
		p->idle_count = busy ? 0 : p->idle_count;
		p->heard_at = now;
		look_later(p, now);
	}
}

static void look_at_work(struct proxied *p, struct mono_ms now)
{
	const struct model_server *server = p->model->server;

	p->look_at = MONO_NEVER;
	if (catalog_call(server, &server->adapter->busy, "", LOOK_TIME_MS, on_looked, p,
			 &p->call) != 0)
		not_heard(p, now);
}

void proxied_begin_work(struct proxied *p, struct mono_ms now)
{
	p->stage = PROXIED_WORKING;
	p->heard_at = now;
	p->pace_ms = LOOK_MS_FIRST;
	p->due = MONO_NEVER;
	look_later(p, now);
}

static void patience_is_over(struct proxied *p)
{
	cleanup_text struct text words = {0};
	int err = wait_words_over(p->gateway->port, proxied_waiting_claim(p), "", &words);

	text_str(&words, "Try again.");
	proxied_fail(p, err, words.bytes, 0);
}

static void wait_is_over(struct proxied *p, struct mono_ms now)
{
	if (p->stage == PROXIED_PUT_OFF) {
		proxied_try_again(p, now);
		return;
	}
	if (p->stage == PROXIED_FORWARDED) { /* a handshake */
		proxied_fail(p, ERR_UPSTREAM_SLOW, err_text(ERR_UPSTREAM_SLOW), 0);
		return;
	}
	patience_is_over(p);
}

void proxied_tick(struct proxied *p, struct mono_ms now)
{
	if (mono_due(p->due, now))
		wait_is_over(p, now);
	else if (mono_due(p->look_at, now))
		look_at_work(p, now);
}
