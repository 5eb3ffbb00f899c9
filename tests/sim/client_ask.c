/* client_ask: what clients say: hello, claims, and all acts on a claim. Called by client.c for
 * timers and by client_hear.c for answers that need no thought. */
#include <stdio.h>
#include <string.h>

#include "trick.h"
#include "world.h"

void client_set_timer(struct world *w, struct client *client, enum timer what, uint64_t subject,
		      int64_t after_ms)
{
	event_queue_add(&w->event_queue, (struct item){.t = w->t + after_ms,
						       .kind = ITEM_CLIENT,
						       .what = what,
						       .client = client->index,
						       .life = client->life,
						       .subject = subject});
}

static struct envelope *envelope_of(struct world *w, enum event_type type, uint64_t conn)
{
	struct envelope *envelope = net_envelope(w, ENVELOPE_EVENT, conn);
	envelope->event.type = type;
	return envelope;
}

void client_hello(struct world *w, struct client *client)
{
	struct envelope *envelope = envelope_of(w, EVENT_SESSION_OPEN, client->conn);
	struct event *event = &envelope->event;
	event->session.binding = client->scenario->binding;
	event->session.browser = client->scenario->browser;
	event->session.name = client->scenario->name;
	if (client->scenario->binding == BIND_NATIVE) {
		event->session.pid = client->pid;
		event->session.pid_start = client->pid_start;
	}
	if (client->scenario->principal[0])
		event->session.principal = client->scenario->principal;
	event->session.uid = client->scenario->binding == BIND_NATIVE ? 1000 : -1;
	if (client->session > 0) {
		envelope->token = client->secret;
		event->session.resume = &envelope->token;
		event->session.or_new = w->scenario.or_new;
	}
	net_up(w, envelope);
}

void client_send_alive(struct world *w, struct client *client)
{
	if (client->conn > 0)
		net_up(w, envelope_of(w, EVENT_ALIVE, client->conn));
}

/* A clean end: all it has is given back in one word. */
void client_bye(struct world *w, struct client *client)
{
	net_up(w, envelope_of(w, EVENT_BYE, client->conn));
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client == (int)client->index && job->life == client->life)
			job_stop(w, job);
	}
	trace_line(&w->trace, "%s says bye", client->scenario->name);
}

static void draw_need(struct world *w, const struct client_scenario *scenario, struct job *job)
{
	struct rng *rng = &w->rng;
	const struct core_config *config = &w->scenario.config;
	job->need = (struct need){.slots = 1, .gpu_count = 1};
	job->resident = rng_chance(rng, scenario->resident_permille);
	if (job->resident || rng_chance(rng, scenario->vram_permille))
		job->need.vram_bytes = (uint64_t)rng_between(rng, 1, 10) * w->scenario.vram_unit;
	if (scenario->slots_max > 1)
		job->need.slots = (uint32_t)rng_between(rng, 1, scenario->slots_max);
	if (job->resident && rng_chance(rng, 500))
		job->need.slots = 0;
	if (rng_chance(rng, scenario->gang_permille))
		job->need.gpu_count = (uint32_t)rng_between(rng, 2, config->gpu_count);
	else if (config->gpu_count > 1 && rng_chance(rng, 300))
		job->need.gpu_mask = UINT32_C(1) << rng_below(rng, config->gpu_count);
	/* By its number: older seeds draw what they drew. */
	job->need.all_slots = scenario->slots_max > 1 && job->need.slots > 0 && job->uid % 4 == 3;
	if (scenario->binding == BIND_TAB && job->need.gpu_mask == 0 && job->uid % 8 != 0)
		job->need.gpu_mask = UINT32_MAX;
}

static enum lease_class draw_class(struct rng *rng, const struct client_scenario *scenario)
{
	uint32_t at = (uint32_t)rng_below(rng, 1000), sum = 0;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		sum += scenario->class_permille[cls];
		if (at < sum)
			return (enum lease_class)cls;
	}
	return LEASE_NORMAL;
}

static void draw_job(struct world *w, struct client *client, struct job *job)
{
	const struct client_scenario *scenario = client->scenario;
	struct rng *rng = &w->rng;
	job->binding = scenario->binding;
	job->browser = scenario->browser;
	job->cls = draw_class(rng, scenario);
	draw_need(w, scenario, job);
	job->preemptible = !rng_chance(rng, 50);
	job->evictable = job->resident && rng_chance(rng, 700);
	job->load_ms = job->evictable ? 1000 : 0;
	if (job->evictable && scenario->residence_ms_max > 0) {
		job->min_residence_ms = rng_between(rng, 0, scenario->residence_ms_max);
		job->load_ms = rng_between(rng, 100, 60000);
	}
	job->no_wait = !w->healed && rng_chance(rng, scenario->no_wait_permille);
	job->has_request_id = rng_chance(rng, 500);
	job->timeout_ms = rng_chance(rng, 300)   ? rng_between(rng, 5, 300) * 1000
			  : rng_chance(rng, 500) ? -1
						 : w->scenario.config.timeout_ms * 20;
	job->ttl_ms = scenario->binding == BIND_HTTP ? rng_between(rng, 5, 120) * 1000 : 0;
	job->hold_ms = rng_between(rng, 50, scenario->hold_ms_max);
	if (scenario->greedy)
		job->hold_ms = scenario->hold_ms_max;
	if (job->resident)
		job->hold_ms = rng_between(rng, 10, 600) * 1000;
	if (w->scenario.uses_yielding && rng_chance(rng, 200))
		job->uninterruptible_ms = rng_between(rng, 100, 20000);
	job->asked_t = -1;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		if (other != job && other->client == job->client && other->life == job->life &&
		    other->stage == JOB_HELD && scenario->binding <= BIND_TAB &&
		    (scenario->trick == TRICK_LENDS || rng_chance(rng, 200)))
			job->parent = other->lease;
	}
	/* Else it would wait for its own holder, where there is one GPU. */
	if (job->parent && w->scenario.uses_lend && rng_chance(rng, 700))
		job->host = job->parent;
	if (scenario->binding == BIND_PROXIED)
		client_gateway_draw(w, job);
	client_draw_inside(w, client, job);
	trick_draw(w, client, job);
}

static void send_acquire(struct world *w, struct client *client, struct job *job, uint64_t conn)
{
	struct envelope *envelope = envelope_of(w, EVENT_ACQUIRE, conn);
	struct ev_acquire *acquire = &envelope->event.acquire;
	envelope->job = job->uid;
	acquire->binding = job->binding;
	acquire->browser = job->browser;
	acquire->preemptible = job->preemptible;
	acquire->evictable = job->evictable;
	acquire->no_wait = job->no_wait;
	/* In an eighth of the seeds every other job accepts as it asks. */
	acquire->accept = w->seed % 8 == 5 && job->uid % 2 == 1;
	acquire->cls = job->cls;
	acquire->ref = job->uid;
	acquire->parent = job->parent;
	acquire->host = job->host;
	acquire->resumes = job->resumes;
	acquire->uses = job->model;
	acquire->loads = job->loads;
	acquire->guests = job->guests;
	acquire->guests_open = job->guests_open;
	acquire->need = job->need;
	acquire->timeout_ms = job->timeout_ms;
	acquire->ttl_ms = job->ttl_ms;
	acquire->uninterruptible_ms = job->uninterruptible_ms;
	acquire->min_residence_ms = job->min_residence_ms;
	acquire->load_ms = job->load_ms;
	acquire->name = client->scenario->name;
	if (client->scenario->principal[0])
		acquire->principal = client->scenario->principal;
	if (job->has_request_id) {
		snprintf(envelope->request_id, sizeof envelope->request_id, "request-%llu",
			 (unsigned long long)(job->request ? job->request : job->uid));
		acquire->request_id = envelope->request_id;
	}
	net_up(w, envelope);
}

/* A new exchange or stream about this job; 0: refused. */
static uint64_t open_exchange(struct world *w, struct client *client, struct job *job,
			      enum event_type asks)
{
	struct conn *conn = net_connect(w, (int)client->index);
	if (!conn)
		return 0;
	conn->job = job->uid;
	conn->asks = asks;
	conn->stream = job_is_stream(job) && asks == EVENT_ACQUIRE;
	conn->gateway = conn->stream && job->binding == BIND_PROXIED;
	conn->exchange = !conn->stream;
	return conn->id;
}

bool client_ask_for(struct world *w, struct client *client, struct job *job)
{
	uint64_t conn = client->conn;
	if (job->binding >= BIND_STREAM)
		conn = job->conn = open_exchange(w, client, job, EVENT_ACQUIRE);
	if (conn == 0)
		return false;
	job->said = JOB_ASKED;
	job->retried |= job->asked_t >= 0;
	job->asked_t = -1;
	job->queued = false;
	send_acquire(w, client, job, conn);
	if (job->has_request_id && job->binding <= BIND_TAB &&
	    rng_chance(&w->rng, world_permille(w, FAULT_DUPLICATE))) {
		world_count(w, FAULT_DUPLICATE);
		send_acquire(w, client, job, conn);
	}
	return true;
}

void client_ask_new(struct world *w, struct client *client)
{
	if (w->healed)
		return;
	client_set_timer(w, client, TIMER_THINK, 0,
			 client->scenario->think_ms_min +
				 rng_between(&w->rng, 0, client->scenario->think_ms_max));
	if (client->state == CLIENT_READY && client->conn > 0 && rng_chance(&w->rng, 3)) {
		client_bye(w, client);
		client_die(w, client);
		return;
	}
	if (client->state != CLIENT_READY || client->claim_count >= client->scenario->claims_max)
		return;
	client_ask_one(w, client);
}

void client_ask_one(struct world *w, struct client *client)
{
	struct job *job = job_new(w, (int)client->index);
	draw_job(w, client, job);
	client->claim_count++;
	w->tally.claims++;
	if (!client_ask_for(w, client, job))
		job_over(w, job);
}

/* A page that was loaded anew: it wants the place of its predecessor, whatever it asks for. */
void client_ask_again(struct world *w, struct client *client, uint64_t left)
{
	const struct job *before = job_of(w, left);
	uint64_t request = before->request ? before->request : left;
	enum lease_class cls = before->cls;
	struct job *job;

	if (w->healed || client->state != CLIENT_READY || before->life != client->life)
		return;
	job = job_new(w, (int)client->index); /* moves the jobs */
	draw_job(w, client, job);
	job->cls = cls;
	job->request = request;
	job->has_request_id = job->retried = true;
	client->claim_count++;
	w->tally.claims++;
	if (!client_ask_for(w, client, job))
		job_over(w, job);
}

/* One act on the lease, over the session or by an exchange with the token. */
struct envelope *client_act(struct world *w, struct client *client, struct job *job,
			    enum event_type type)
{
	bool session = job->binding <= BIND_TAB;
	if (session && client->state != CLIENT_READY)
		return NULL;
	uint64_t conn = session ? client->conn : open_exchange(w, client, job, type);
	return conn ? envelope_of(w, type, conn) : NULL;
}

static void send_release(struct world *w, struct client *client, struct job *job, bool requeue)
{
	struct envelope *envelope = client_act(w, client, job, EVENT_RELEASE);
	if (!envelope)
		return;
	envelope->event.release.requeue = requeue;
	envelope->event.release.detail = job->lease % 2 ? "exit status 1" : NULL;
	if (job->binding <= BIND_TAB) {
		envelope->event.release.lease = job->lease;
	} else {
		envelope->token = job->token;
		envelope->event.release.token = &envelope->token;
	}
	net_up(w, envelope);
}

void client_release(struct world *w, struct job *job, bool requeue)
{
	struct client *client = &w->clients[job->client];
	if (job->parked_slots > 0)
		client_unpark(w, client, job);
	job_stop(w, job);
	job->done = true;
	if (job_is_stream(job)) {
		struct conn *conn = net_conn(w, job->conn);
		if (conn)
			net_close_client(w, conn, true); /* hold the connection, hold the GPU */
		job_over(w, job);
		return;
	}
	requeue = requeue && job->binding <= BIND_TAB;
	job->requeueing = requeue && client->state == CLIENT_READY;
	job->yielded |= job->requeueing;
	send_release(w, client, job, requeue);
	if (!requeue && rng_chance(&w->rng, world_permille(w, FAULT_DUPLICATE))) {
		world_count(w, FAULT_DUPLICATE);
		send_release(w, client, job, false);
	}
	if (job->binding == BIND_HTTP)
		job_over(w, job);
}

/* As a page does that goes: whatever it is told now, it is not there any more. */
static void leave(struct world *w, struct job *job)
{
	if (job->stage == JOB_OVER)
		return;
	job_stop(w, job);
	job_over(w, job);
	job->left = job->done = true;
}

void client_cancel(struct world *w, struct client *client, struct job *job)
{
	if (job->binding <= BIND_TAB) {
		struct envelope *envelope = client_act(w, client, job, EVENT_CANCEL);
		bool keep = job->uid % 2 != 0 && job->resumes == 0 && job->parked_slots == 0;
		if (!envelope)
			return;
		envelope->event.cancel.ref = job->uid;
		envelope->event.cancel.keep = keep;
		net_up(w, envelope);
		if (keep)
			leave(w, job);
		return;
	}
	struct conn *conn = net_conn(w, job->conn);
	if (job->stage > JOB_WAITING || !conn || !conn->client_open)
		return;
	net_close_client(w, conn, rng_chance(&w->rng, 500));
	job_over(w, job);
}

static void renew(struct world *w, struct client *client, struct job *job)
{
	struct envelope *envelope = client_act(w, client, job, EVENT_RENEW);
	if (!envelope)
		return;
	if (job->binding <= BIND_TAB) {
		envelope->event.renew.lease = job->lease;
	} else {
		envelope->token = job->token;
		envelope->event.renew.token = &envelope->token;
	}
	net_up(w, envelope);
	if (job->binding == BIND_HTTP)
		client_set_timer(w, client, TIMER_RENEW, job->uid, job->ttl_ms / 2);
	trick_renewed(w, client, job);
}

static void yielding(struct world *w, struct client *client, struct job *job)
{
	int64_t ttl_ms = rng_between(&w->rng, 500, 25000);
	struct envelope *envelope = client_act(w, client, job, EVENT_YIELDING);
	if (!envelope)
		return;
	envelope->event.renew.lease = job->lease;
	envelope->event.renew.ttl_ms = ttl_ms;
	if (job->binding > BIND_TAB) {
		envelope->token = job->token;
		envelope->event.renew.token = &envelope->token;
		envelope->event.renew.lease = 0;
	}
	net_up(w, envelope);
	client_set_timer(w, client, TIMER_RELEASE, job->uid, ttl_ms * 9 / 10);
}

/* A resident model: load under a compute turn, then keep only the memory. */
static void change(struct world *w, struct client *client, struct job *job)
{
	if (job->binding > BIND_TAB)
		return;
	struct envelope *envelope = client_act(w, client, job, EVENT_CHANGE);
	if (!envelope)
		return;
	envelope->event.change.lease = job->lease;
	envelope->event.change.need = job->need;
	envelope->event.change.need.slots = 0;
	job->changed = true;
	job->uses_need.slots = 0; /* it has stopped computing before it says so */
	net_up(w, envelope);
}

static void lend(struct world *w, struct client *client, struct job *job)
{
	if (job->binding > BIND_TAB)
		return;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		const struct job *other = job_of(w, w->jobs.active[i]);
		bool own = other->client == job->client && other->life == job->life;
		if (other->stage != JOB_WAITING || other->parent != job->lease ||
		    !(client->scenario->trick == TRICK_LENDS ? own : rng_chance(&w->rng, 700)))
			continue;
		struct envelope *envelope = client_act(w, client, job, EVENT_LEND);
		if (!envelope)
			return;
		envelope->event.lend.lease = job->lease;
		envelope->event.lend.to = other->lease;
		net_up(w, envelope);
		return;
	}
}

static void accept(struct world *w, struct client *client, struct job *job)
{
	for (int copies = 0; copies < 2; copies++) {
		struct envelope *envelope = client_act(w, client, job, EVENT_ACCEPT);
		if (!envelope)
			return;
		envelope->event.lease = job->lease;
		net_up(w, envelope);
		if (!rng_chance(&w->rng, world_permille(w, FAULT_DUPLICATE)))
			return;
		world_count(w, FAULT_DUPLICATE);
	}
}

void client_job_timer(struct world *w, struct client *client, enum timer what, struct job *job)
{
	bool holds = job->stage == JOB_HELD && !job->done;
	/* Nothing of it is done while it is frozen; some are ended then. */
	if (what == TIMER_RELEASE && job->parked_slots > 0 && !job->asked_to_yield && !w->healed &&
	    rng_chance(&w->park_rng, 900))
		return;
	if (what == TIMER_STOPPED && job->stopping)
		client_stopped(w, client, job);
	else if (what == TIMER_ACCEPT && job->stage == JOB_OFFERED)
		accept(w, client, job);
	else if (what == TIMER_RELEASE && holds)
		client_release(w, job, false);
	else if (what == TIMER_REQUEUE && holds)
		client_release(w, job, job->asked_to_yield);
	else if (what == TIMER_YIELDING && holds)
		yielding(w, client, job);
	else if (what == TIMER_CANCEL)
		client_cancel(w, client, job);
	else if (what == TIMER_RENEW && holds)
		renew(w, client, job);
	else if (what == TIMER_CHANGE && holds)
		change(w, client, job);
	else if (what == TIMER_LEND && holds)
		lend(w, client, job);
	else if (what == TIMER_READY && holds)
		client_say_ready(w, client, job);
	else if (what == TIMER_PARK && client_may_park(w, client, job))
		client_park(w, client, job);
	else if (what == TIMER_PARKED)
		client_watch_parked(w, client, job);
	else if (what == TIMER_RETRY && (job->stage <= JOB_WAITING || job_is_model(job)) &&
		 !client_ask_for(w, client, job))
		client_set_timer(w, client, TIMER_RETRY, job->uid, 500);
}
