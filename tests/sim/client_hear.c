/* client_hear: what clients do about what the broker tells them. An honest one stops when it must;
 * faults make it deaf, slow or stubborn. Called by client.c for each envelope that arrives. */
#include <string.h>

#include "base/err.h"
#include "base/margin.h"
#include "core/binding.h"
#include "trick.h"
#include "world.h"

static bool struck(struct world *w, enum fault fault)
{
	if (!rng_chance(&w->rng, world_permille(w, fault)))
		return false;
	world_count(w, fault);
	return true;
}

static void job_timer(struct world *w, struct client *client, enum timer what,
		      const struct job *job, int64_t after_ms)
{
	client_set_timer(w, client, what, job->uid, after_ms);
}

static void hear_offered(struct world *w, struct client *client, struct job *job,
			 const struct effect *fx)
{
	job->stage = JOB_OFFERED;
	job->fence = fx->send.fence;
	int64_t ack_ms = w->broker.config.ack_ms;
	if (trick_offered(w, client, job))
		return;
	if (struck(w, FAULT_MISSED_ACK)) {
		if (rng_chance(&w->rng, 500)) /* late, else never */
			job_timer(w, client, TIMER_ACCEPT, job,
				  ack_ms + rng_between(&w->rng, 0, 500));
		return;
	}
	job_timer(w, client, TIMER_ACCEPT, job, rng_between(&w->rng, 0, 50));
}

/* Once all faults are off nobody keeps others for long, also who is granted only then: the check
 * that all are served counts on it. */
static void scenario_hold(struct world *w, struct client *client, struct job *job)
{
	if (w->healed && job->hold_ms > HEALED_HOLD_MS_MAX)
		job->hold_ms = HEALED_HOLD_MS_MAX;
	client_schedule_ready(w, client, job);
	int64_t work_ms = client_work_ms(w, job);
	job_timer(w, client, TIMER_RELEASE, job, work_ms);
	if (job->binding == BIND_HTTP && work_ms > job->ttl_ms / 2)
		job_timer(w, client, TIMER_RENEW, job, job->ttl_ms / 2);
	else if (rng_chance(&w->rng, 50))
		job_timer(w, client, TIMER_RENEW, job, rng_between(&w->rng, 0, job->hold_ms));
	if (job->resident && job->need.slots > 0)
		job_timer(w, client, TIMER_CHANGE, job, rng_between(&w->rng, 100, 5000));
	if (w->scenario.uses_yielding && job->binding == BIND_HTTP && rng_chance(&w->rng, 200))
		job_timer(w, client, TIMER_YIELDING, job, rng_between(&w->rng, 0, job->hold_ms));
	if (w->scenario.uses_lend && rng_chance(&w->rng, 500))
		job_timer(w, client, TIMER_LEND, job, rng_between(&w->rng, 0, job->hold_ms));
	if (struck(w, FAULT_CANCEL))
		job_timer(w, client, TIMER_CANCEL, job, rng_between(&w->rng, 0, 1000));
	if (client->scenario->park_permille > 0 && rng_chance(&w->park_rng, 100))
		job_timer(w, client, TIMER_PARK, job, rng_between(&w->park_rng, 0, job->hold_ms));
}

static void hear_granted(struct world *w, struct client *client, struct job *job,
			 const struct effect *fx)
{
	bool again = job->stage == JOB_HELD && job->fence == fx->send.fence;
	if (again && job->done)
		return; /* a late copy: it has given the GPU back */
	job->stage = JOB_HELD;
	job->fence = fx->send.fence;
	job->token = fx->send.token;
	job->gpus = fx->send.gpus;
	job->asked_to_yield = job->requeueing = false;
	job->granted_t = w->t;
	job_use(w, job, fx->send.gpus);
	if (again)
		return;
	scenario_hold(w, client, job);
	trick_granted(w, client, job); /* may move the jobs */
}

static void hear_yield(struct world *w, struct client *client, struct job *job,
		       const struct effect *fx)
{
	if (job->asked_to_yield || job->stage != JOB_HELD)
		return;
	job->asked_to_yield = true;
	if (trick_asked(w, client, job, fx->send.grace_ms))
		return;
	if (client_may_park(w, client, job) &&
	    rng_chance(&w->park_rng, client->scenario->park_permille)) {
		job_timer(w, client, TIMER_PARK, job,
			  rng_between(&w->park_rng, 0, fx->send.grace_ms * 8 / 10));
		return;
	}
	if (client->scenario->mute && struck(w, FAULT_MUTE))
		return;
	int64_t grace_ms = fx->send.grace_ms > 0 ? fx->send.grace_ms : 1;
	if (w->scenario.uses_yielding && rng_chance(&w->rng, 300)) {
		job_timer(w, client, TIMER_YIELDING, job, rng_between(&w->rng, 0, grace_ms / 2));
		return;
	}
	bool back = !w->healed && w->t - job->granted_t < job->hold_ms &&
		    (client->scenario->stays || rng_chance(&w->rng, 600));
	back |= trick_returns(w, client);
	job_timer(w, client, back ? TIMER_REQUEUE : TIMER_RELEASE, job,
		  rng_between(&w->rng, 0, grace_ms * 8 / 10));
}

static void hear_revoked(struct world *w, struct client *client, struct job *job)
{
	if (job->uses && struck(w, FAULT_IGNORE_REVOKE)) {
		job->ignores = true;
		return; /* goes on until its own release, or until it is killed */
	}
	if (job_is_model(job)) {
		client_gateway_unload(w, client, job);
		return;
	}
	bool used = job->uses;
	if (client->scenario->binding <= BIND_TAB && used) {
		client_stop(w, client, job, w->broker.config.lock_delay_ms * 8 / 10);
		return;
	}
	job_stop(w, job);
	job_over(w, job);
}

void client_stop(struct world *w, struct client *client, struct job *job, int64_t max_ms)
{
	int64_t after_ms =
		client->scenario->slow && max_ms > 0 ? rng_between(&w->rng, 0, max_ms) : 0;
	job->done = job->stage == JOB_HELD;
	if (job->stopping)
		return;
	job->stopping = true;
	if (after_ms > 0 && job->uses)
		job_timer(w, client, TIMER_STOPPED, job, after_ms);
	else
		client_stopped(w, client, job);
}

void client_stopped(struct world *w, struct client *client, struct job *job)
{
	job->stopping = false;
	job_stop(w, job);
	if (job->stage != JOB_HELD || client->state != CLIENT_READY)
		return;                /* offline: given back once it is listed */
	client_release(w, job, false); /* confirms that the GPU is free */
	job_over(w, job);
}

/* A request about a claim was refused. */
static void hear_denied(struct world *w, struct job *job, const struct effect *fx)
{
	if (job->resumes != 0 && job->stage == JOB_ASKED) {
		client_park_refused(w, job);
		return;
	}
	if (job->stage == JOB_ASKED || (job->stage == JOB_WAITING && job->said == JOB_OVER)) {
		job_over(w, job);
		return;
	}
	if (job_is_model(job)) {
		client_gateway_unload(w, &w->clients[job->client], job);
		return;
	}
	int err = fx->send.err;
	if (err == ERR_STATE && job->requeueing && job->stage == JOB_HELD &&
	    strcmp(fx->send.detail, "guests") == 0) { /* not of a cancel that came too late */
		/* It may only go for good. Some stay for now. */
		job->requeueing = job->done = false;
		if (w->healed || rng_chance(&w->inside_rng, 700))
			client_release(w, job, false);
		return;
	}
	if (job->stage == JOB_HELD && (err == ERR_STALE || err == ERR_REVOKED)) {
		if (job->uses && struck(w, FAULT_IGNORE_REVOKE)) {
			job->ignores = true;
			return;
		}
		job_stop(w, job);
		job_over(w, job);
	}
}

/* A resume listed what is alive; the rest ended while the client was away. */
static void hear_listed(struct world *w, struct client *client)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client != (int)client->index || job->life != client->life)
			continue;
		if (!job->listed && !job->stopping && job->stage != JOB_OVER) {
			job_stop(w, job);
			job_over(w, job);
		}
	}
}

static void hear_claim(struct world *w, struct client *client, struct job *job,
		       const struct effect *fx)
{
	job->listed = true;
	job->lease = fx->send.lease;
	if (job->stopping)
		return;
	if (fx->send.state == CLAIM_HELD || fx->send.state == CLAIM_LOADING)
		job->asked_to_yield = false;
	if (fx->send.state == CLAIM_QUEUED) {
		job_stop(w, job);
		job->stage = JOB_WAITING;
		job->requeueing = job->done = false;
	} else if (fx->send.state == CLAIM_OFFERED) {
		hear_offered(w, client, job, fx);
	} else if (job->done || job->stage == JOB_OVER) {
		client_release(w, job, false); /* it had fallen silent, or its release was lost */
	} else if (job->stage != JOB_HELD) {
		job->stage = JOB_HELD; /* GRANTED was lost on the way */
		job->fence = fx->send.fence;
		job->gpus = fx->send.gpus;
		job->granted_t = w->t;
		job_use(w, job, fx->send.gpus);
		scenario_hold(w, client, job);
	} else if (fx->send.state == CLAIM_LOADING && job->ready_t < INT64_MAX) {
		/* That it is ready was lost, or is still to come. */
		job_timer(w, client, TIMER_READY, job,
			  job->ready_t > w->t ? job->ready_t - w->t
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
	client->linger_ms = core_linger_ms(&w->broker.config, client->scenario->binding);
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client == (int)client->index && job->life == client->life)
			job->listed = false;
	}
	if (!resumed)
		hear_listed(w, client); /* all is gone */
}

static void hear_queued(struct world *w, struct client *client, struct job *job)
{
	if (job->requeueing)
		job->requeueing = job->done = false;
	if (job_is_model(job)) /* asked for again, too late */
		job_stop(w, job);
	if (job->stage == JOB_ASKED && struck(w, FAULT_CANCEL))
		job_timer(w, client, TIMER_CANCEL, job, rng_between(&w->rng, 0, 20000));
	job->stage = JOB_WAITING;
}

static void hear_about(struct world *w, struct client *client, struct job *job,
		       const struct effect *fx)
{
	if (job->stopping)
		return; /* whatever it is told: first the work has to stop */
	bool held = fx->send.state == CLAIM_HELD || fx->send.state == CLAIM_YIELDING;
	if (job->resumes != 0 && job->stage != JOB_HELD &&
	    (fx->send.msg == SEND_GRANTED || (fx->send.msg == SEND_CLAIM && held))) {
		client_resume(w, client, job);
		return;
	}
	switch (fx->send.msg) {
	case SEND_CLAIM:
		hear_claim(w, client, job, fx);
		return;
	case SEND_QUEUED:
		hear_queued(w, client, job);
		return;
	case SEND_OFFERED:
		hear_offered(w, client, job, fx);
		return;
	case SEND_GRANTED:
		hear_granted(w, client, job, fx);
		return;
	case SEND_YIELD:
		hear_yield(w, client, job, fx);
		return;
	case SEND_KEEP:
		job->asked_to_yield = false;
		return;
	case SEND_REVOKED:
		hear_revoked(w, client, job);
		return;
	case SEND_RELEASED:
		if (fx->send.end == END_NONE)
			return; /* gave way and comes back: QUEUED tells the rest */
		job_stop(w, job);
		job_over(w, job);
		return;
	case SEND_TIMEOUT:
		job_over(w, job);
		return;
	case SEND_DENIED:
		hear_denied(w, job, fx);
		return;
	case SEND_LENT:
		if (fx->send.other != 0)
			trick_lent(w, client, job);
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
static void hear_unwanted(struct world *w, struct client *client, struct job *job,
			  const struct effect *fx)
{
	enum send_kind msg = fx->send.msg;
	if (msg == SEND_RELEASED && job->left && job->has_request_id) {
		job->left = false;
		job_timer(w, client, TIMER_RETURN, job, rng_between(&w->inside_rng, 0, 3000));
		return;
	}
	if (msg != SEND_QUEUED && msg != SEND_OFFERED && msg != SEND_GRANTED && msg != SEND_CLAIM)
		return;
	job_stop(w, job);
	job->lease = fx->send.lease;
	if (msg == SEND_GRANTED)
		job->token = fx->send.token;
	if (!job_is_stream(job) && client->state == CLIENT_READY)
		client_release(w, job, false);
}

void client_hear(struct world *w, struct client *client, const struct envelope *envelope)
{
	if (envelope->kind == ENVELOPE_LISTED) {
		hear_listed(w, client);
		return;
	}
	const struct effect *fx = &envelope->effect;
	const struct conn *conn = net_conn(w, envelope->conn);
	if (fx->send.msg == SEND_WELCOME) {
		hear_welcome(w, client, fx);
		return;
	}
	if (fx->send.msg == SEND_HEARTBEAT) {
		client_send_alive(w, client);
		return;
	}
	struct job *job = conn->job ? job_of(w, conn->job) : job_of(w, fx->send.ref);
	if (!job)
		job = job_of_lease(w, fx->send.lease);
	bool old = job && conn->job && conn->asks == EVENT_ACQUIRE && job->conn != conn->id;
	if (!job || old || job->client != (int)client->index || job->life != client->life) {
		if (fx->send.msg == SEND_DENIED && client->state == CLIENT_GREETING) {
			client->session = 0; /* the resume was refused: begin anew */
			net_close_client(w, net_conn(w, envelope->conn), true);
			client_lose_conn(w, client, envelope->conn);
		}
		return;
	}
	if (job->stage == JOB_OVER)
		hear_unwanted(w, client, job, fx);
	else
		hear_about(w, client, job, fx);
}

/* An exchange or stream ended without an answer: ask again under the same request id, or give up.
 */
static void lose_exchange(struct world *w, struct client *client, struct job *job)
{
	if (job_is_model(job)) {
		client_gateway_lost(w, client, job);
		return;
	}
	if (job_is_stream(job))
		job_stop(w, job); /* the stream was the lease */
	if (job->stage == JOB_OVER || (job->stage == JOB_HELD && job->binding == BIND_HTTP))
		return;
	bool retry = job->has_request_id && job->stage <= JOB_WAITING;
	if (retry)
		job_timer(w, client, TIMER_RETRY, job, rng_between(&w->rng, 50, 3000));
	else
		job_over(w, job);
}

void client_lose_conn(struct world *w, struct client *client, uint64_t conn)
{
	if (client->conn != conn) {
		const struct conn *lost = net_conn(w, conn);
		struct job *job = job_of(w, lost->job);
		if (job && job->conn == conn)
			lose_exchange(w, client, job);
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
