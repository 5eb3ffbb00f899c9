/* client_ask: what clients say: hello, claims, and all acts on a claim. Called by client.c for
 * timers and by client_hear.c for answers that need no thought. */
#include <stdio.h>
#include <string.h>

#include "trick.h"
#include "world.h"

void client_set_timer(struct world *w, struct client *client, enum timer what, uint64_t subject,
		      int64_t after_ms)
{
	agenda_add(&w->agenda, (struct item){.t = w->t + after_ms,
					     .kind = ITEM_CLIENT,
					     .what = what,
					     .client = client->index,
					     .life = client->life,
					     .subject = subject});
}

static struct letter *letter_of(struct world *w, enum event_type type, uint64_t conn)
{
	struct letter *letter = net_letter(w, LETTER_EVENT, conn);
	letter->event.type = type;
	return letter;
}

void client_hello(struct world *w, struct client *client)
{
	struct letter *letter = letter_of(w, EVENT_SESSION_OPEN, client->conn);
	struct event *event = &letter->event;
	event->session.binding = client->plan->binding;
	event->session.browser = client->plan->browser;
	event->session.name = client->plan->name;
	if (client->plan->binding == BIND_NATIVE) {
		event->session.pid = client->pid;
		event->session.pid_start = client->pid_start;
	}
	if (client->plan->principal[0])
		event->session.principal = client->plan->principal;
	event->session.uid = client->plan->binding == BIND_NATIVE ? 1000 : -1;
	if (client->session > 0) {
		letter->token = client->secret;
		event->session.resume = &letter->token;
		event->session.or_new = w->plan.or_new;
	}
	net_up(w, letter);
}

void client_send_alive(struct world *w, struct client *client)
{
	if (client->conn > 0)
		net_up(w, letter_of(w, EVENT_ALIVE, client->conn));
}

/* A clean end: all it has is given back in one word. */
void client_bye(struct world *w, struct client *client)
{
	net_up(w, letter_of(w, EVENT_BYE, client->conn));
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (want->client == (int)client->index && want->life == client->life)
			want_stop(w, want);
	}
	trace_line(&w->trace, "%s says bye", client->plan->name);
}

static void draw_need(struct world *w, const struct client_plan *plan, struct want *want)
{
	struct rng *rng = &w->rng;
	const struct core_config *config = &w->plan.config;
	want->need = (struct need){.slots = 1, .gpu_count = 1};
	want->resident = rng_chance(rng, plan->resident_permille);
	if (want->resident || rng_chance(rng, plan->vram_permille))
		want->need.vram_bytes = (uint64_t)rng_between(rng, 1, 10) * w->plan.vram_unit;
	if (plan->slots_max > 1)
		want->need.slots = (uint32_t)rng_between(rng, 1, plan->slots_max);
	if (want->resident && rng_chance(rng, 500))
		want->need.slots = 0;
	if (rng_chance(rng, plan->gang_permille))
		want->need.gpu_count = (uint32_t)rng_between(rng, 2, config->gpu_count);
	else if (config->gpu_count > 1 && rng_chance(rng, 300))
		want->need.gpu_mask = UINT32_C(1) << rng_below(rng, config->gpu_count);
	/* By its number: older seeds draw what they drew. */
	want->need.all_slots = plan->slots_max > 1 && want->need.slots > 0 && want->uid % 4 == 3;
	if (plan->binding == BIND_TAB && want->need.gpu_mask == 0 && want->uid % 8 != 0)
		want->need.gpu_mask = UINT32_MAX;
}

static enum lease_class draw_class(struct rng *rng, const struct client_plan *plan)
{
	uint32_t at = (uint32_t)rng_below(rng, 1000), sum = 0;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		sum += plan->class_permille[cls];
		if (at < sum)
			return (enum lease_class)cls;
	}
	return LEASE_NORMAL;
}

static void draw_want(struct world *w, struct client *client, struct want *want)
{
	const struct client_plan *plan = client->plan;
	struct rng *rng = &w->rng;
	want->binding = plan->binding;
	want->browser = plan->browser;
	want->cls = draw_class(rng, plan);
	draw_need(w, plan, want);
	want->preemptible = !rng_chance(rng, 50);
	want->evictable = want->resident && rng_chance(rng, 700);
	want->load_ms = want->evictable ? 1000 : 0;
	if (want->evictable && plan->residence_ms_max > 0) {
		want->min_residence_ms = rng_between(rng, 0, plan->residence_ms_max);
		want->load_ms = rng_between(rng, 100, 60000);
	}
	want->no_wait = !w->healed && rng_chance(rng, plan->no_wait_permille);
	want->has_request_id = rng_chance(rng, 500);
	want->timeout_ms = rng_chance(rng, 300)   ? rng_between(rng, 5, 300) * 1000
			   : rng_chance(rng, 500) ? -1
						  : w->plan.config.timeout_ms * 20;
	want->ttl_ms = plan->binding == BIND_HTTP ? rng_between(rng, 5, 120) * 1000 : 0;
	want->hold_ms = rng_between(rng, 50, plan->hold_ms_max);
	if (plan->greedy)
		want->hold_ms = plan->hold_ms_max;
	if (want->resident)
		want->hold_ms = rng_between(rng, 10, 600) * 1000;
	if (w->plan.uses_yielding && rng_chance(rng, 200))
		want->uninterruptible_ms = rng_between(rng, 100, 20000);
	want->asked_t = -1;
	for (size_t i = 0; i < w->wants.active_count; i++) {
		const struct want *other = want_of(w, w->wants.active[i]);
		if (other != want && other->client == want->client && other->life == want->life &&
		    other->stage == WANT_HELD && plan->binding <= BIND_TAB &&
		    (plan->trick == TRICK_LENDS || rng_chance(rng, 200)))
			want->parent = other->lease;
	}
	/* Else it would wait for its own holder, where there is one GPU. */
	if (want->parent && w->plan.uses_lend && rng_chance(rng, 700))
		want->host = want->parent;
	if (plan->binding == BIND_PROXIED)
		client_gateway_draw(want);
	client_draw_inside(w, client, want);
	trick_draw(w, client, want);
}

static void send_acquire(struct world *w, struct client *client, struct want *want, uint64_t conn)
{
	struct letter *letter = letter_of(w, EVENT_ACQUIRE, conn);
	struct ev_acquire *acquire = &letter->event.acquire;
	letter->want = want->uid;
	acquire->binding = want->binding;
	acquire->browser = want->browser;
	acquire->preemptible = want->preemptible;
	acquire->evictable = want->evictable;
	acquire->no_wait = want->no_wait;
	acquire->cls = want->cls;
	acquire->ref = want->uid;
	acquire->parent = want->parent;
	acquire->host = want->host;
	acquire->resumes = want->resumes;
	acquire->loads = want->loads;
	acquire->guests = want->guests;
	acquire->guests_open = want->guests_open;
	acquire->need = want->need;
	acquire->timeout_ms = want->timeout_ms;
	acquire->ttl_ms = want->ttl_ms;
	acquire->uninterruptible_ms = want->uninterruptible_ms;
	acquire->min_residence_ms = want->min_residence_ms;
	acquire->load_ms = want->load_ms;
	acquire->name = client->plan->name;
	if (client->plan->principal[0])
		acquire->principal = client->plan->principal;
	if (want->has_request_id) {
		snprintf(letter->request_id, sizeof letter->request_id, "request-%llu",
			 (unsigned long long)want->uid);
		acquire->request_id = letter->request_id;
	}
	net_up(w, letter);
}

/* A new exchange or stream about this want; 0: refused. */
static uint64_t open_exchange(struct world *w, struct client *client, struct want *want,
			      enum event_type asks)
{
	struct conn *conn = net_connect(w, (int)client->index);
	if (!conn)
		return 0;
	conn->want = want->uid;
	conn->asks = asks;
	conn->stream = want_is_stream(want) && asks == EVENT_ACQUIRE;
	conn->gateway = conn->stream && want->binding == BIND_PROXIED;
	conn->exchange = !conn->stream;
	return conn->id;
}

bool client_ask_for(struct world *w, struct client *client, struct want *want)
{
	uint64_t conn = client->conn;
	if (want->binding >= BIND_STREAM)
		conn = want->conn = open_exchange(w, client, want, EVENT_ACQUIRE);
	if (conn == 0)
		return false;
	want->said = WANT_ASKED;
	want->retried |= want->asked_t >= 0;
	want->asked_t = -1;
	want->queued = false;
	send_acquire(w, client, want, conn);
	if (want->has_request_id && want->binding <= BIND_TAB &&
	    rng_chance(&w->rng, world_permille(w, FAULT_DUPLICATE))) {
		world_count(w, FAULT_DUPLICATE);
		send_acquire(w, client, want, conn);
	}
	return true;
}

void client_ask_new(struct world *w, struct client *client)
{
	if (w->healed)
		return;
	client_set_timer(w, client, TIMER_THINK, 0,
			 client->plan->think_ms_min +
				 rng_between(&w->rng, 0, client->plan->think_ms_max));
	if (client->state == CLIENT_READY && client->conn > 0 && rng_chance(&w->rng, 3)) {
		client_bye(w, client);
		client_die(w, client);
		return;
	}
	if (client->state != CLIENT_READY || client->claim_count >= client->plan->claims_max)
		return;
	client_ask_one(w, client);
}

void client_ask_one(struct world *w, struct client *client)
{
	struct want *want = want_new(w, (int)client->index);
	draw_want(w, client, want);
	client->claim_count++;
	w->tally.claims++;
	if (!client_ask_for(w, client, want))
		want_over(w, want);
}

/* One act on the lease, over the session or by an exchange with the token. */
struct letter *client_act(struct world *w, struct client *client, struct want *want,
			  enum event_type type)
{
	bool session = want->binding <= BIND_TAB;
	if (session && client->state != CLIENT_READY)
		return NULL;
	uint64_t conn = session ? client->conn : open_exchange(w, client, want, type);
	return conn ? letter_of(w, type, conn) : NULL;
}

static void send_release(struct world *w, struct client *client, struct want *want, bool requeue)
{
	struct letter *letter = client_act(w, client, want, EVENT_RELEASE);
	if (!letter)
		return;
	letter->event.release.requeue = requeue;
	if (want->binding <= BIND_TAB) {
		letter->event.release.lease = want->lease;
	} else {
		letter->token = want->token;
		letter->event.release.token = &letter->token;
	}
	net_up(w, letter);
}

void client_release(struct world *w, struct want *want, bool requeue)
{
	struct client *client = &w->clients[want->client];
	if (want->parked_slots > 0)
		client_unpark(w, client, want);
	want_stop(w, want);
	want->done = true;
	if (want_is_stream(want)) {
		struct conn *conn = net_conn(w, want->conn);
		if (conn)
			net_close_client(w, conn, true); /* hold the connection, hold the GPU */
		want_over(w, want);
		return;
	}
	requeue = requeue && want->binding <= BIND_TAB;
	want->requeueing = requeue && client->state == CLIENT_READY;
	want->yielded |= want->requeueing;
	send_release(w, client, want, requeue);
	if (!requeue && rng_chance(&w->rng, world_permille(w, FAULT_DUPLICATE))) {
		world_count(w, FAULT_DUPLICATE);
		send_release(w, client, want, false);
	}
	if (want->binding == BIND_HTTP)
		want_over(w, want);
}

void client_cancel(struct world *w, struct client *client, struct want *want)
{
	if (want->binding <= BIND_TAB) {
		struct letter *letter = client_act(w, client, want, EVENT_CANCEL);
		if (!letter)
			return;
		letter->event.ref = want->uid;
		net_up(w, letter);
		return;
	}
	struct conn *conn = net_conn(w, want->conn);
	if (want->stage > WANT_WAITING || !conn || !conn->client_open)
		return;
	net_close_client(w, conn, rng_chance(&w->rng, 500));
	want_over(w, want);
}

static void renew(struct world *w, struct client *client, struct want *want)
{
	struct letter *letter = client_act(w, client, want, EVENT_RENEW);
	if (!letter)
		return;
	if (want->binding <= BIND_TAB) {
		letter->event.renew.lease = want->lease;
	} else {
		letter->token = want->token;
		letter->event.renew.token = &letter->token;
	}
	net_up(w, letter);
	if (want->binding == BIND_HTTP)
		client_set_timer(w, client, TIMER_RENEW, want->uid, want->ttl_ms / 2);
	trick_renewed(w, client, want);
}

static void yielding(struct world *w, struct client *client, struct want *want)
{
	int64_t ttl_ms = rng_between(&w->rng, 500, 25000);
	struct letter *letter = client_act(w, client, want, EVENT_YIELDING);
	if (!letter)
		return;
	letter->event.renew.lease = want->lease;
	letter->event.renew.ttl_ms = ttl_ms;
	if (want->binding > BIND_TAB) {
		letter->token = want->token;
		letter->event.renew.token = &letter->token;
		letter->event.renew.lease = 0;
	}
	net_up(w, letter);
	client_set_timer(w, client, TIMER_RELEASE, want->uid, ttl_ms * 9 / 10);
}

/* A resident model: load under a compute turn, then keep only the memory. */
static void change(struct world *w, struct client *client, struct want *want)
{
	if (want->binding > BIND_TAB)
		return;
	struct letter *letter = client_act(w, client, want, EVENT_CHANGE);
	if (!letter)
		return;
	letter->event.change.lease = want->lease;
	letter->event.change.need = want->need;
	letter->event.change.need.slots = 0;
	want->changed = true;
	want->uses_need.slots = 0; /* it has stopped computing before it says so */
	net_up(w, letter);
}

static void lend(struct world *w, struct client *client, struct want *want)
{
	if (want->binding > BIND_TAB)
		return;
	for (size_t i = 0; i < w->wants.active_count; i++) {
		const struct want *other = want_of(w, w->wants.active[i]);
		bool own = other->client == want->client && other->life == want->life;
		if (other->stage != WANT_WAITING || other->parent != want->lease ||
		    !(client->plan->trick == TRICK_LENDS ? own : rng_chance(&w->rng, 700)))
			continue;
		struct letter *letter = client_act(w, client, want, EVENT_LEND);
		if (!letter)
			return;
		letter->event.lend.lease = want->lease;
		letter->event.lend.to = other->lease;
		net_up(w, letter);
		return;
	}
}

static void accept(struct world *w, struct client *client, struct want *want)
{
	for (int copies = 0; copies < 2; copies++) {
		struct letter *letter = client_act(w, client, want, EVENT_ACCEPT);
		if (!letter)
			return;
		letter->event.lease = want->lease;
		net_up(w, letter);
		if (!rng_chance(&w->rng, world_permille(w, FAULT_DUPLICATE)))
			return;
		world_count(w, FAULT_DUPLICATE);
	}
}

void client_want_timer(struct world *w, struct client *client, enum timer what, struct want *want)
{
	bool holds = want->stage == WANT_HELD && !want->done;
	/* Nothing of it is done while it is frozen; some are ended then. */
	if (what == TIMER_RELEASE && want->parked_slots > 0 && !want->asked_to_yield &&
	    !w->healed && rng_chance(&w->park_rng, 900))
		return;
	if (what == TIMER_STOPPED && want->stopping)
		client_stopped(w, client, want);
	else if (what == TIMER_ACCEPT && want->stage == WANT_OFFERED)
		accept(w, client, want);
	else if (what == TIMER_RELEASE && holds)
		client_release(w, want, false);
	else if (what == TIMER_REQUEUE && holds)
		client_release(w, want, want->asked_to_yield);
	else if (what == TIMER_YIELDING && holds)
		yielding(w, client, want);
	else if (what == TIMER_CANCEL)
		client_cancel(w, client, want);
	else if (what == TIMER_RENEW && holds)
		renew(w, client, want);
	else if (what == TIMER_CHANGE && holds)
		change(w, client, want);
	else if (what == TIMER_LEND && holds)
		lend(w, client, want);
	else if (what == TIMER_READY && holds)
		client_say_ready(w, client, want);
	else if (what == TIMER_PARK && client_may_park(w, client, want))
		client_park(w, client, want);
	else if (what == TIMER_PARKED)
		client_watch_parked(w, client, want);
	else if (what == TIMER_RETRY && (want->stage <= WANT_WAITING || want_is_model(want)) &&
		 !client_ask_for(w, client, want))
		client_set_timer(w, client, TIMER_RETRY, want->uid, 500);
}
