/* broker: one loop turn of the simulated daemon: step all that arrived, tick, commit, send. It
 * decides nothing about leases. Starts and ends are in broker_life.c. */
#include "broker.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

#include "base/err.h"
#include "broker_private.h"
#include "fault.h"
#include "world.h"

struct mono_ms broker_now(const struct world *w)
{
	return (struct mono_ms){w->t - w->boot_t + w->boot_mono_ms};
}

void broker_schedule_turn(struct world *w, int64_t t)
{
	if (t >= w->broker.turn_t)
		return;
	w->broker.turn_t = t;
	event_queue_add(&w->event_queue, (struct item){.t = t, .kind = ITEM_TURN});
}

void broker_wake(struct world *w)
{
	if (w->broker.state == BROKER_UP)
		broker_schedule_turn(w, w->t);
}

struct envelope *broker_event(struct world *w, enum event_type type)
{
	struct envelope *envelope = net_envelope(w, ENVELOPE_EVENT, 0);
	envelope->event.type = type;
	return envelope;
}

void broker_post(struct world *w, struct envelope *envelope)
{
	struct broker *b = &w->broker;
	if (b->state == BROKER_DOWN) {
		net_free(w, envelope);
		return;
	}
	envelope->next = NULL;
	*b->inbox_tail = envelope;
	b->inbox_tail = &envelope->next;
	if (b->state == BROKER_UP)
		broker_schedule_turn(w, w->t);
}

static void see_close(struct world *w, struct conn *conn)
{
	if (!conn->broker_open)
		return;
	conn->broker_open = false;
	struct envelope *envelope = broker_event(w, EVENT_CONN_CLOSED);
	envelope->event.from = net_party(conn);
	envelope->event.closed.undelivered = (conn->exchange || conn->stream) && !conn->answered;
	const struct client *client = conn->client < 0 ? NULL : &w->clients[conn->client];
	envelope->event.closed.peer_gone = client && client->scenario->binding == BIND_NATIVE &&
					   client->life != conn->life &&
					   !fault_unwatched(client, conn->life);
	broker_post(w, envelope);
}

void broker_arrive(struct world *w, struct envelope *envelope)
{
	struct conn *conn = net_conn(w, envelope->conn);
	if (envelope->kind == ENVELOPE_CLOSED) {
		see_close(w, conn);
		net_free(w, envelope);
		return;
	}
	assert(envelope->kind == ENVELOPE_EVENT);
	if (!conn->broker_open) {
		net_free(w, envelope);
		return;
	}
	envelope->event.from = net_party(conn);
	broker_post(w, envelope);
}

void broker_step(struct world *w, struct event *event)
{
	struct broker *b = &w->broker;
	event->now = broker_now(w);
	event->wall = (struct wall_ms){w->t + w->wall_offset_ms};
	uint64_t random[2] = {rng_next(&w->token_rng), rng_next(&w->token_rng)};
	memcpy(event->random.b, random, sizeof event->random.b);
	b->steps++;
	struct mono_ms wake = mono_min(b->wake, event->now);
	size_t from = b->fx.count;
	twin_begin_step(w, event);
	core_step(b->core, event, &b->fx);
	twin_end_step(w, event, from);
	/* The real loop takes a wake-up that lies in the past for a stall. */
	if (event->type > EVENT_START && mono_before(b->fx.next_wake, wake))
		sim_fail(w, "the core asks to be woken %lld ms ago",
			 (long long)mono_since(event->now, b->fx.next_wake));
	b->wake = b->fx.next_wake;
	check_step(w, event);
}

static bool commit(struct world *w)
{
	struct broker *b = &w->broker;
	size_t length;
	for (; b->appended < b->fx.count; b->appended++) {
		if (b->fx.v[b->appended].type == EFFECT_APPEND)
			journal_append(&w->journal, &b->fx.v[b->appended].record, &length);
	}
	b->commit_failed = false;
	if (w->journal.pending_bytes == 0)
		return true;
	if (b->io_error || (b->disk_full && b->reserve == 0)) {
		b->io_error = false;
		b->commit_failed = true;
		told_taint(w);
		return false;
	}
	if (b->disk_full)
		b->reserve--;
	uint64_t fence_max = w->journal.fence_max;
	journal_commit(&w->journal);
	w->journal.boots = w->boots;
	w->check.fence_committed = w->check.fence_recorded;
	if (w->journal.fence_max != fence_max)
		journal_copy(&w->synced, &w->journal); /* the only record that is synced */
	return true;
}

/* The broker's side of an exchange ends with its one answer, a stream with its last message. */
static bool ends_exchange(const struct conn *conn, const struct effect *fx)
{
	enum send_kind msg = fx->send.msg;
	if (msg == SEND_QUEUED || msg == SEND_OFFERED || msg == SEND_HEARTBEAT)
		return false;
	if (conn->exchange)
		return true;
	if (conn->gateway && msg == SEND_REVOKED)
		return false;
	return conn->stream && (msg == SEND_RELEASED || msg == SEND_TIMEOUT || msg == SEND_DENIED ||
				msg == SEND_REVOKED);
}

static void tell_closed(struct world *w, const struct conn *conn)
{
	struct envelope *envelope = broker_event(w, EVENT_CONN_CLOSED);
	envelope->event.from = net_party(conn);
	broker_post(w, envelope);
}

static void deliver_send(struct world *w, const struct effect *fx)
{
	struct conn *conn = net_conn(w, fx->to.id);
	if (!conn || !conn->broker_open)
		return; /* gone: no error */
	if (fx->to.kind != net_party(conn).kind)
		sim_fail(w, "conn %llu is party %d, not %d", (unsigned long long)conn->id,
			 (int)net_party(conn).kind, (int)fx->to.kind);
	check_sent(w, conn, fx);
	if (fx->send.msg == SEND_WELCOME) {
		conn->session = fx->send.lease;
		if (!fx->send.flag)
			w->clients[conn->client].compute_ended_ms = broker_now(w).v;
		fault_welcome(w, &w->clients[conn->client], fx->send.lease);
	}
	struct envelope *envelope = net_envelope(w, ENVELOPE_SEND, conn->id);
	envelope->effect = *fx;
	net_down(w, envelope);
	if (!ends_exchange(conn, fx))
		return;
	conn->answered = true;
	net_close_broker(w, conn, true);
	tell_closed(w, conn);
}

static void deliver(struct world *w, const struct effect *fx)
{
	struct conn *conn;
	struct client *client;
	switch (fx->type) {
	case EFFECT_SEND:
		deliver_send(w, fx);
		return;
	case EFFECT_SIGNAL:
		client = world_session_client(w, fx->signal.session);
		if (client)
			client_signal(w, client, fx->signal.signo);
		return;
	case EFFECT_CLOSE:
		conn = net_conn(w, fx->to.id);
		if (!conn || !conn->broker_open)
			return;
		net_close_broker(w, conn, true);
		if (w->scenario.close_is_told)
			tell_closed(w, conn);
		return;
	case EFFECT_APPEND:
	case EFFECT_TRACE:
		return;
	}
}

/* After a resumed WELCOME come the CLAIMs of the same step; the client must know where they end. */
static void deliver_all(struct world *w)
{
	struct broker *b = &w->broker;
	size_t stop = b->fx.count;
	if (b->crash == CRASH_WHILE_SENDING)
		stop = (size_t)rng_below(&w->rng, b->fx.count + 1);
	uint64_t listing = 0;
	for (size_t i = 0; i < stop; i++) {
		const struct effect *fx = &b->fx.v[i];
		bool lists = fx->type == EFFECT_SEND && fx->send.msg == SEND_CLAIM &&
			     fx->to.id == listing;
		if (listing && fx->type == EFFECT_SEND && !lists) {
			net_down(w, net_envelope(w, ENVELOPE_LISTED, listing));
			listing = 0;
		}
		deliver(w, fx);
		const struct conn *conn = fx->type == EFFECT_SEND ? net_conn(w, fx->to.id) : NULL;
		if (conn && conn->broker_open && fx->send.msg == SEND_WELCOME && fx->send.flag)
			listing = fx->to.id;
	}
	if (listing)
		net_down(w, net_envelope(w, ENVELOPE_LISTED, listing));
}

void broker_flush(struct world *w)
{
	struct broker *b = &w->broker;
	bool anything = b->fx.count > 0;
	if (anything && b->crash == CRASH_BEFORE_COMMIT) {
		broker_crash(w, false);
		return;
	}
	if (!commit(w)) {
		broker_schedule_turn(w, w->t + 1000); /* try again; all sends wait */
		return;
	}
	if (anything && b->crash == CRASH_AFTER_COMMIT) {
		broker_crash(w, false);
		return;
	}
	deliver_all(w);
	if (anything && b->crash == CRASH_WHILE_SENDING) {
		broker_crash(w, false);
		return;
	}
	effects_clear(&b->fx);
	b->seen = b->appended = 0;
	check_turn(w);
}

static void step_inbox(struct world *w)
{
	struct broker *b = &w->broker;
	struct envelope *envelope = b->inbox;
	b->inbox = NULL;
	b->inbox_tail = &b->inbox;
	for (struct envelope *next; envelope; envelope = next) {
		next = envelope->next;
		struct job *job = job_of(w, envelope->job);
		if (envelope->event.type == EVENT_CONFIG) {
			b->config = *envelope->event.config;
			check_config(w, &b->config);
		}
		if (job && job->said == JOB_OVER) { /* a late copy of its request asks anew */
			job->said = JOB_ASKED;
			job->retried = true;
		}
		broker_step(w, &envelope->event);
		if (job && envelope->event.type == EVENT_ACQUIRE && job->asked_t < 0) {
			job->asked_t = w->t;
			job->asked_stalled_ms = w->stalled_ms;
		}
		net_free(w, envelope);
	}
}

void broker_turn(struct world *w, int64_t t)
{
	struct broker *b = &w->broker;
	if (b->state != BROKER_UP || t != b->turn_t)
		return; /* planned for earlier, or for another life */
	b->turn_t = INT64_MAX;
	b->turns++;
	if (b->clock_jump) {
		b->clock_jump = false;
		struct event jump = {.type = EVENT_CLOCK_JUMP, .stalled_ms = b->stalled_ms};
		b->stalled_ms = 0;
		broker_step(w, &jump);
	}
	bool bad = b->disk_full || b->commit_failed;
	if (bad != b->journal_told_bad) {
		b->journal_told_bad = bad;
		struct event event = {.type = EVENT_JOURNAL, .journal.ok = !bad};
		broker_step(w, &event);
	}
	step_inbox(w);
	struct event tick = {.type = EVENT_TICK};
	broker_step(w, &tick);
	int64_t wake_ms = mono_since(b->fx.next_wake, broker_now(w));
	if (wake_ms <= 0)
		sim_fail(w, "the core asks to be woken %lld ms ago", (long long)-wake_ms);
	broker_flush(w);
	if (b->state != BROKER_UP)
		return;
	if (wake_ms < INT64_MAX - w->t)
		broker_schedule_turn(w, w->t + wake_ms);
	if ((b->disk_full || b->commit_failed) != b->journal_told_bad)
		broker_schedule_turn(w, w->t + 1);
}
