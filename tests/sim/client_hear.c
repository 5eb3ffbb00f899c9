/* client_hear: what clients do about what the broker tells them. An honest one stops when it must;
 * faults make it deaf, slow or stubborn. Called by client.c for each letter that arrives. */
#include <string.h>

#include "base/err.h"
#include "base/margin.h"
#include "trick.h"
#include "world.h"

static bool struck(struct world *w, enum fault fault)
{
	if (!rng_chance(&w->rng, world_permille(w, fault)))
		return false;
	world_count(w, fault);
	return true;
}

static void want_timer(struct world *w, struct client *client, enum timer what,
		       const struct want *want, int64_t after_ms)
{
	client_set_timer(w, client, what, want->uid, after_ms);
}

static void hear_offered(struct world *w, struct client *client, struct want *want,
			 const struct effect *fx)
{
	want->stage = WANT_OFFERED;
	want->fence = fx->send.fence;
	int64_t ack_ms = w->broker.config.ack_ms;
	if (trick_offered(w, client, want))
		return;
	if (struck(w, FAULT_MISSED_ACK)) {
		if (rng_chance(&w->rng, 500)) /* late, else never */
			want_timer(w, client, TIMER_ACCEPT, want,
				   ack_ms + rng_between(&w->rng, 0, 500));
		return;
	}
	want_timer(w, client, TIMER_ACCEPT, want, rng_between(&w->rng, 0, 50));
}

/* Once all faults are off nobody keeps others for long, also who is granted only then: the check
 * that all are served counts on it. */
static void plan_hold(struct world *w, struct client *client, struct want *want)
{
	if (w->healed && want->hold_ms > HEALED_HOLD_MS_MAX)
		want->hold_ms = HEALED_HOLD_MS_MAX;
	client_plan_ready(w, client, want);
	int64_t work_ms = client_work_ms(w, want);
	want_timer(w, client, TIMER_RELEASE, want, work_ms);
	if (want->binding == BIND_HTTP && work_ms > want->ttl_ms / 2)
		want_timer(w, client, TIMER_RENEW, want, want->ttl_ms / 2);
	else if (rng_chance(&w->rng, 50))
		want_timer(w, client, TIMER_RENEW, want, rng_between(&w->rng, 0, want->hold_ms));
	if (want->resident && want->need.slots > 0)
		want_timer(w, client, TIMER_CHANGE, want, rng_between(&w->rng, 100, 5000));
	if (w->plan.uses_yielding && want->binding == BIND_HTTP && rng_chance(&w->rng, 200))
		want_timer(w, client, TIMER_YIELDING, want, rng_between(&w->rng, 0, want->hold_ms));
	if (w->plan.uses_lend && rng_chance(&w->rng, 500))
		want_timer(w, client, TIMER_LEND, want, rng_between(&w->rng, 0, want->hold_ms));
	if (struck(w, FAULT_CANCEL))
		want_timer(w, client, TIMER_CANCEL, want, rng_between(&w->rng, 0, 1000));
	if (client->plan->park_permille > 0 && rng_chance(&w->park_rng, 100))
		want_timer(w, client, TIMER_PARK, want,
			   rng_between(&w->park_rng, 0, want->hold_ms));
}

static void hear_granted(struct world *w, struct client *client, struct want *want,
			 const struct effect *fx)
{
	bool again = want->stage == WANT_HELD && want->fence == fx->send.fence;
	if (again && want->done)
		return; /* a late copy: it has given the GPU back */
	want->stage = WANT_HELD;
	want->fence = fx->send.fence;
	want->token = fx->send.token;
	want->gpus = fx->send.gpus;
	want->asked_to_yield = want->requeueing = false;
	want->granted_t = w->t;
	want_use(w, want, fx->send.gpus);
	if (again)
		return;
	plan_hold(w, client, want);
	trick_granted(w, client, want); /* may move the wants */
}

static void hear_yield(struct world *w, struct client *client, struct want *want,
		       const struct effect *fx)
{
	if (want->asked_to_yield || want->stage != WANT_HELD)
		return;
	want->asked_to_yield = true;
	if (trick_asked(w, client, want, fx->send.grace_ms))
		return;
	if (client_may_park(w, client, want) &&
	    rng_chance(&w->park_rng, client->plan->park_permille)) {
		want_timer(w, client, TIMER_PARK, want,
			   rng_between(&w->park_rng, 0, fx->send.grace_ms * 8 / 10));
		return;
	}
	if (client->plan->mute && struck(w, FAULT_MUTE))
		return;
	int64_t grace_ms = fx->send.grace_ms > 0 ? fx->send.grace_ms : 1;
	if (w->plan.uses_yielding && rng_chance(&w->rng, 300)) {
		want_timer(w, client, TIMER_YIELDING, want, rng_between(&w->rng, 0, grace_ms / 2));
		return;
	}
	bool back = !w->healed && w->t - want->granted_t < want->hold_ms &&
		    (client->plan->stays || rng_chance(&w->rng, 600));
	back |= trick_returns(w, client);
	want_timer(w, client, back ? TIMER_REQUEUE : TIMER_RELEASE, want,
		   rng_between(&w->rng, 0, grace_ms * 8 / 10));
}

static void hear_revoked(struct world *w, struct client *client, struct want *want)
{
	if (want->uses && struck(w, FAULT_IGNORE_REVOKE)) {
		want->ignores = true;
		return; /* goes on until its own release, or until it is killed */
	}
	if (want_is_model(want)) {
		client_gateway_unload(w, client, want);
		return;
	}
	bool used = want->uses;
	if (client->plan->binding <= BIND_TAB && used) {
		client_stop(w, client, want, w->broker.config.lock_delay_ms * 8 / 10);
		return;
	}
	want_stop(w, want);
	want_over(w, want);
}

void client_stop(struct world *w, struct client *client, struct want *want, int64_t max_ms)
{
	int64_t after_ms = client->plan->slow && max_ms > 0 ? rng_between(&w->rng, 0, max_ms) : 0;
	want->done = want->stage == WANT_HELD;
	if (want->stopping)
		return;
	want->stopping = true;
	if (after_ms > 0 && want->uses)
		want_timer(w, client, TIMER_STOPPED, want, after_ms);
	else
		client_stopped(w, client, want);
}

void client_stopped(struct world *w, struct client *client, struct want *want)
{
	want->stopping = false;
	want_stop(w, want);
	if (want->stage != WANT_HELD || client->state != CLIENT_READY)
		return;                 /* offline: given back once it is listed */
	client_release(w, want, false); /* confirms that the GPU is free */
	want_over(w, want);
}

/* A request about a claim was refused. */
static void hear_denied(struct world *w, struct want *want, const struct effect *fx)
{
	if (want->resumes != 0 && want->stage == WANT_ASKED) {
		client_park_refused(w, want);
		return;
	}
	if (want->stage == WANT_ASKED || (want->stage == WANT_WAITING && want->said == WANT_OVER)) {
		want_over(w, want);
		return;
	}
	if (want_is_model(want)) {
		client_gateway_unload(w, &w->clients[want->client], want);
		return;
	}
	int err = fx->send.err;
	if (err == ERR_STATE && want->requeueing && want->stage == WANT_HELD &&
	    strcmp(fx->send.detail, "guests") == 0) { /* not of a cancel that came too late */
		/* It may only go for good. Some stay for now. */
		want->requeueing = want->done = false;
		if (w->healed || rng_chance(&w->inside_rng, 700))
			client_release(w, want, false);
		return;
	}
	if (want->stage == WANT_HELD && (err == ERR_STALE || err == ERR_REVOKED)) {
		if (want->uses && struck(w, FAULT_IGNORE_REVOKE)) {
			want->ignores = true;
			return;
		}
		want_stop(w, want);
		want_over(w, want);
	}
}

/* A resume listed what is alive; the rest ended while the client was away. */
static void hear_listed(struct world *w, struct client *client)
{
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (want->client != (int)client->index || want->life != client->life)
			continue;
		if (!want->listed && !want->stopping && want->stage != WANT_OVER) {
			want_stop(w, want);
			want_over(w, want);
		}
	}
}

static void hear_claim(struct world *w, struct client *client, struct want *want,
		       const struct effect *fx)
{
	want->listed = true;
	want->lease = fx->send.lease;
	if (want->stopping)
		return;
	if (fx->send.state == CLAIM_HELD || fx->send.state == CLAIM_LOADING)
		want->asked_to_yield = false;
	if (fx->send.state == CLAIM_QUEUED) {
		want_stop(w, want);
		want->stage = WANT_WAITING;
		want->requeueing = want->done = false;
	} else if (fx->send.state == CLAIM_OFFERED) {
		hear_offered(w, client, want, fx);
	} else if (want->done || want->stage == WANT_OVER) {
		client_release(w, want, false); /* it had fallen silent, or its release was lost */
	} else if (want->stage != WANT_HELD) {
		want->stage = WANT_HELD; /* GRANTED was lost on the way */
		want->fence = fx->send.fence;
		want->gpus = fx->send.gpus;
		want->granted_t = w->t;
		want_use(w, want, fx->send.gpus);
		plan_hold(w, client, want);
	} else if (fx->send.state == CLAIM_LOADING && want->ready_t < INT64_MAX) {
		/* That it is ready was lost, or is still to come. */
		want_timer(w, client, TIMER_READY, want,
			   want->ready_t > w->t ? want->ready_t - w->t
						: rng_between(&w->inside_rng, 0, 50));
	}
}

static void hear_welcome(struct world *w, struct client *client, const struct effect *fx)
{
	bool resumed = fx->send.flag;
	client->state = CLIENT_READY;
	client->silence_t = INT64_MAX;
	client->session = fx->send.lease;
	client->secret = fx->send.token;
	client->linger_ms = core_linger_ms(&w->broker.config, client->plan->binding);
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (want->client == (int)client->index && want->life == client->life)
			want->listed = false;
	}
	if (!resumed)
		hear_listed(w, client); /* all is gone */
}

static void hear_queued(struct world *w, struct client *client, struct want *want)
{
	if (want->requeueing)
		want->requeueing = want->done = false;
	if (want_is_model(want)) /* asked for again, too late */
		want_stop(w, want);
	if (want->stage == WANT_ASKED && struck(w, FAULT_CANCEL))
		want_timer(w, client, TIMER_CANCEL, want, rng_between(&w->rng, 0, 20000));
	want->stage = WANT_WAITING;
}

static void hear_about(struct world *w, struct client *client, struct want *want,
		       const struct effect *fx)
{
	if (want->stopping)
		return; /* whatever it is told: first the work has to stop */
	bool held = fx->send.state == CLAIM_HELD || fx->send.state == CLAIM_YIELDING;
	if (want->resumes != 0 && want->stage != WANT_HELD &&
	    (fx->send.msg == SEND_GRANTED || (fx->send.msg == SEND_CLAIM && held))) {
		client_resume(w, client, want);
		return;
	}
	switch (fx->send.msg) {
	case SEND_CLAIM:
		hear_claim(w, client, want, fx);
		return;
	case SEND_QUEUED:
		hear_queued(w, client, want);
		return;
	case SEND_OFFERED:
		hear_offered(w, client, want, fx);
		return;
	case SEND_GRANTED:
		hear_granted(w, client, want, fx);
		return;
	case SEND_YIELD:
		hear_yield(w, client, want, fx);
		return;
	case SEND_KEEP:
		want->asked_to_yield = false;
		return;
	case SEND_REVOKED:
		hear_revoked(w, client, want);
		return;
	case SEND_RELEASED:
		if (fx->send.end == END_NONE)
			return; /* gave way and comes back: QUEUED tells the rest */
		want_stop(w, want);
		want_over(w, want);
		return;
	case SEND_TIMEOUT:
		want_over(w, want);
		return;
	case SEND_DENIED:
		hear_denied(w, want, fx);
		return;
	case SEND_LENT:
		if (fx->send.other != 0)
			trick_lent(w, client, want);
		return;
	case SEND_WELCOME:
	case SEND_RENEWED:
	case SEND_CHANGED:
	case SEND_NOTICE:
	case SEND_HEARTBEAT:
	case SEND_OK:
	case SEND_COUNT:
		return;
	}
}

/* A late copy of its request was taken for a new one: it says that it has no use for it. */
static void hear_unwanted(struct world *w, struct client *client, struct want *want,
			  const struct effect *fx)
{
	enum send_kind msg = fx->send.msg;
	if (msg != SEND_QUEUED && msg != SEND_OFFERED && msg != SEND_GRANTED && msg != SEND_CLAIM)
		return;
	want_stop(w, want);
	want->lease = fx->send.lease;
	if (msg == SEND_GRANTED)
		want->token = fx->send.token;
	if (!want_is_stream(want) && client->state == CLIENT_READY)
		client_release(w, want, false);
}

void client_hear(struct world *w, struct client *client, const struct letter *letter)
{
	if (letter->kind == LETTER_LISTED) {
		hear_listed(w, client);
		return;
	}
	const struct effect *fx = &letter->effect;
	const struct conn *conn = net_conn(w, letter->conn);
	if (fx->send.msg == SEND_WELCOME) {
		hear_welcome(w, client, fx);
		return;
	}
	if (fx->send.msg == SEND_HEARTBEAT) {
		client_send_alive(w, client);
		return;
	}
	struct want *want = conn->want ? want_of(w, conn->want) : want_of(w, fx->send.ref);
	if (!want)
		want = want_of_lease(w, fx->send.lease);
	bool old = want && conn->want && conn->asks == EVENT_ACQUIRE && want->conn != conn->id;
	if (!want || old || want->client != (int)client->index || want->life != client->life) {
		if (fx->send.msg == SEND_DENIED && client->state == CLIENT_GREETING) {
			client->session = 0; /* the resume was refused: begin anew */
			net_close_client(w, net_conn(w, letter->conn), true);
			client_lose_conn(w, client, letter->conn);
		}
		return;
	}
	if (want->stage == WANT_OVER)
		hear_unwanted(w, client, want, fx);
	else
		hear_about(w, client, want, fx);
}

/* An exchange or stream ended without an answer: ask again under the same request id, or give up.
 */
static void lose_exchange(struct world *w, struct client *client, struct want *want)
{
	if (want_is_model(want)) {
		client_gateway_lost(w, client, want);
		return;
	}
	if (want_is_stream(want))
		want_stop(w, want); /* the stream was the lease */
	if (want->stage == WANT_OVER || (want->stage == WANT_HELD && want->binding == BIND_HTTP))
		return;
	bool retry = want->has_request_id && want->stage <= WANT_WAITING;
	if (retry)
		want_timer(w, client, TIMER_RETRY, want, rng_between(&w->rng, 50, 3000));
	else
		want_over(w, want);
}

void client_lose_conn(struct world *w, struct client *client, uint64_t conn)
{
	if (client->conn != conn) {
		const struct conn *lost = net_conn(w, conn);
		struct want *want = want_of(w, lost->want);
		if (want && want->conn == conn)
			lose_exchange(w, client, want);
		return;
	}
	client->conn = 0;
	client->state = CLIENT_OFFLINE;
	client_set_timer(w, client, TIMER_CONNECT, 0, rng_between(&w->rng, 5, 500));
	client->broke_ms = broker_now(w).v;
	client->stood_still = false;
	int64_t stop_ms = margin_stop_after_ms(client->linger_ms);
	client->silence_t = w->t + stop_ms;
	client_set_timer(w, client, TIMER_SILENCE, 0, stop_ms);
}
