/* client: start, end, pause and connections of a simulated program. What it says is in
 * client_ask.c, what it does about messages in client_hear.c. */
#include "client.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

#include "core/binding.h"
#include "fault.h"
#include "world.h"

static bool has_session(const struct client *client)
{
	return client->scenario->binding == BIND_NATIVE || client->scenario->binding == BIND_TAB;
}

void client_start(struct world *w, struct client *client)
{
	client->life++;
	client->pid = w->pid_next++;
	client->pid_start = (uint64_t)w->t;
	client->state = has_session(client) ? CLIENT_OFFLINE : CLIENT_READY;
	client->conn = client->session = 0;
	client->claim_count = 0;
	client->linger_ms = core_linger_ms(&w->broker.config, client->scenario->binding);
	client->silence_t = client->broke_ms = INT64_MAX;
	if (has_session(client))
		client_set_timer(w, client, TIMER_CONNECT, 0, rng_between(&w->rng, 0, 200));
	client_set_timer(w, client, TIMER_THINK, 0,
			 rng_between(&w->rng, 10, 10 + client->scenario->think_ms_max));
}

static void connect_session(struct world *w, struct client *client)
{
	if (client->state != CLIENT_OFFLINE)
		return;
	struct conn *conn = net_connect(w, (int)client->index);
	if (!conn) {
		client_set_timer(w, client, TIMER_CONNECT, 0, rng_between(&w->rng, 100, 1000));
		return;
	}
	client->conn = conn->id;
	client->state = CLIENT_GREETING;
	client_hello(w, client);
}

/* Offline for half of what the broker waits, as libbaton and the SDK count it (base/margin.h); the
 * other half is for the stopping. */
static void fall_silent(struct world *w, struct client *client)
{
	if (client->state == CLIENT_READY || w->t < client->silence_t)
		return;
	client->silence_t = INT64_MAX;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client != (int)client->index || job->life != client->life)
			continue;
		if (rng_chance(&w->rng, world_permille(w, FAULT_IGNORE_REVOKE))) {
			world_count(w, FAULT_IGNORE_REVOKE);
			job->ignores = true;
			continue;
		}
		client_stop(w, client, job, client->linger_ms / 2 * 8 / 10);
	}
}

static void defer(struct client *client, const struct item *item)
{
	if (client->deferred_count == client->deferred_capacity) {
		client->deferred_capacity =
			client->deferred_capacity ? client->deferred_capacity * 2 : 8;
		client->deferred = realloc(client->deferred,
					   client->deferred_capacity * sizeof *client->deferred);
		assert(client->deferred);
	}
	client->deferred[client->deferred_count++] = *item;
}

static void unpause(struct world *w, struct client *client)
{
	if (!client->paused)
		return;
	client->paused = false;
	trace_line(&w->trace, "%s goes on", client->scenario->name);
	/* In the order in which it would have happened; a handler may pause or kill it again. */
	size_t count = client->deferred_count;
	struct item *items = client->deferred;
	client->deferred = NULL;
	client->deferred_count = client->deferred_capacity = 0;
	for (size_t i = 0; i < count; i++) {
		items[i].t = w->t;
		event_queue_add(&w->event_queue, items[i]);
	}
	free(items);
}

void client_timer(struct world *w, const struct item *item)
{
	struct client *client = &w->clients[item->client];
	if (item->life != client->life)
		return;
	enum timer what = (enum timer)item->what;
	if (what == TIMER_RESPAWN) {
		client_start(w, client);
		return;
	}
	if (client->state == CLIENT_DEAD)
		return;
	if (what == TIMER_DIE) {
		client_die(w, client);
		return;
	}
	if (what == TIMER_UNPAUSE) {
		unpause(w, client);
		return;
	}
	if (client->paused) {
		defer(client, item);
		return;
	}
	if (what == TIMER_CONNECT)
		connect_session(w, client);
	else if (what == TIMER_SILENCE)
		fall_silent(w, client);
	else if (what == TIMER_THINK)
		client_ask_new(w, client);
	else if (what == TIMER_RETURN)
		client_ask_again(w, client, item->subject);
	else if (what >= TIMER_ACCEPT) {
		struct job *job = job_of(w, item->subject);
		if (job->stage != JOB_OVER)
			client_job_timer(w, client, what, job);
	}
}

/* A GRANTED that nobody reads gives nobody the GPU. */
static void lost_envelope(struct world *w, const struct envelope *envelope)
{
	if (envelope->kind != ENVELOPE_SEND || envelope->effect.send.msg != SEND_GRANTED)
		return;
	struct job *job = job_of_lease(w, envelope->effect.send.lease);
	if (!job || job->stage == JOB_HELD)
		return;
	job_stop(w, job);
	client_turn_unread(w, job);
}

void client_arrive(struct world *w, const struct item *item)
{
	struct envelope *envelope = item->envelope;
	struct conn *conn = net_conn(w, envelope->conn);
	struct client *client = conn->client < 0 ? NULL : &w->clients[conn->client];
	bool alive = client && client->life == conn->life && client->state != CLIENT_DEAD;
	if (alive && client->paused) {
		defer(client, item);
		return;
	}
	bool reads =
		alive && (conn->client_open || (envelope->kind == ENVELOPE_EOF && envelope->job));
	if (!reads) {
		lost_envelope(w, envelope);
	} else if (envelope->kind == ENVELOPE_EOF) {
		conn->client_open = false;
		job_stop_unheard(w, conn); /* what is still on its way is read by nobody */
		client_lose_conn(w, client, conn->id);
	} else {
		client_hear(w, client, envelope);
	}
	net_free(w, envelope);
}

void client_pause(struct world *w, struct client *client, int64_t pause_ms)
{
	if (client->state == CLIENT_DEAD || client->paused)
		return;
	world_count(w, FAULT_PAUSE);
	client->paused = client->stood_still = true;
	trace_line(&w->trace, "%s is stopped for %lld ms", client->scenario->name,
		   (long long)pause_ms);
	client_set_timer(w, client, TIMER_UNPAUSE, 0, pause_ms);
}

/* What a dead process used is free, but for a tab: its GPU process may lag behind (excused by the
 * linger after the broker saw the close, see check.c). */
static void drop_uses(struct world *w, struct client *client, bool machine_off)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client != (int)client->index || job->life != client->life)
			continue;
		if (machine_off || client->scenario->binding != BIND_TAB)
			job_stop(w, job);
		job->stage = JOB_OVER;
	}
	client->claim_count = 0;
}

static void free_deferred(struct world *w, struct client *client)
{
	for (size_t i = 0; i < client->deferred_count; i++) {
		if (client->deferred[i].kind != ITEM_TO_CLIENT)
			continue;
		lost_envelope(w, client->deferred[i].envelope);
		net_free(w, client->deferred[i].envelope);
	}
	client->deferred_count = 0;
	client->paused = false;
}

static void close_conns(struct world *w, const struct client *client, bool clean)
{
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		struct conn *conn = net_conn(w, job->conn);
		if (conn && job->client == (int)client->index)
			net_close_client(w, conn, clean);
	}
	struct conn *conn = net_conn(w, client->conn);
	if (conn)
		net_close_client(w, conn, clean);
}

void client_die(struct world *w, struct client *client)
{
	if (client->state == CLIENT_DEAD)
		return;
	trace_line(&w->trace, "%s dies", client->scenario->name);
	drop_uses(w, client, false);
	free_deferred(w, client);
	close_conns(w, client, rng_chance(&w->rng, 500));
	client->state = CLIENT_DEAD;
	client->life++;
	if (client->scenario->binding == BIND_NATIVE && client->session > 0 &&
	    !fault_unwatched(client, client->life - 1))
		fault_exit(w, client->session);
	if (!w->healed)
		client_set_timer(w, client, TIMER_RESPAWN, 0, rng_between(&w->rng, 100, 20000));
}

void client_signal(struct world *w, struct client *client, int signo)
{
	if (client->state == CLIENT_DEAD)
		return;
	bool obeys = !client->scenario->deaf && !client->paused;
	trace_line(&w->trace, "%s gets signal %d", client->scenario->name, signo);
	if (signo == SIGKILL) {
		int64_t after_ms = rng_between(&w->rng, 0, 50);
		if (rng_chance(&w->rng, world_permille(w, FAULT_STUCK))) {
			after_ms = rng_between(&w->rng, 1000, 30000);
			fault_stuck(w, after_ms);
		}
		client_set_timer(w, client, TIMER_DIE, 0, after_ms);
	} else if (obeys) {
		client_set_timer(w, client, TIMER_DIE, 0, rng_between(&w->rng, 0, 500));
	}
}

void client_cut(struct world *w, struct client *client)
{
	if (client->state == CLIENT_DEAD || client->scenario->binding == BIND_PROXIED)
		return;
	struct conn *open = net_conn(w, client->conn);
	for (size_t i = 0; !open && i < w->jobs.active_count; i++) {
		const struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client == (int)client->index && job->life == client->life)
			open = net_conn(w, job->conn);
	}
	if (!open || !open->client_open || !open->broker_open)
		return;
	world_count(w, FAULT_CUT);
	trace_line(&w->trace, "conn %llu of %s breaks", (unsigned long long)open->id,
		   client->scenario->name);
	net_close_client(w, open, false);
	if (!client->paused)
		client_lose_conn(w, client, open->id);
	if (!client->paused)
		return;
	struct envelope *envelope = net_envelope(w, ENVELOPE_EOF, open->id);
	envelope->job = 1; /* it hears of it when it goes on, though its side is closed */
	defer(client, &(struct item){.kind = ITEM_TO_CLIENT, .envelope = envelope});
}

void client_reload(struct world *w, struct client *client)
{
	struct conn *conn = net_conn(w, client->conn);
	if (client->scenario->binding != BIND_TAB || client->state != CLIENT_READY ||
	    client->paused || !conn || !conn->client_open)
		return;
	world_count(w, FAULT_RELOAD);
	trace_line(&w->trace, "%s reloads", client->scenario->name);
	net_close_client(w, conn, true);
	client_lose_conn(w, client, conn->id);
}

void client_machine_off(struct world *w, struct client *client)
{
	drop_uses(w, client, true);
	free_deferred(w, client);
	client->state = CLIENT_DEAD;
	client->life++;
	client->session = 0;
	if (!w->healed)
		client_set_timer(w, client, TIMER_RESPAWN, 0, rng_between(&w->rng, 5000, 60000));
}

void client_finish(struct client *client)
{
	free(client->deferred);
	*client = (struct client){0};
}
