/* check: after each core_step. The core's own asserts, the trace hash, and what the new records and
 * signals say about who must still be given time before the room goes to another. Messages are
 * judged in check_sent.c, room in check_room.c, turns and restarts in check_turn.c. */
#include "check.h"

#include <signal.h>
#include <string.h>

#include "check_private.h"
#include "fault.h"
#include "outside.h"
#include "store/codec.h"
#include "world.h"

static void hash_send(struct trace *trace, const struct effect *fx)
{
	const uint64_t numbers[] = {fx->send.msg,
				    fx->send.ref,
				    fx->send.lease,
				    fx->send.fence,
				    fx->send.other,
				    fx->send.gpus,
				    fx->send.state,
				    fx->send.end,
				    fx->send.reason,
				    (uint64_t)fx->send.err,
				    fx->send.flag,
				    (uint64_t)fx->send.expires_ms,
				    (uint64_t)fx->send.grace_ms};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		trace_number(trace, numbers[i]);
	trace_bytes(trace, fx->send.token.b, sizeof fx->send.token.b);
	trace_bytes(trace, fx->send.detail, strlen(fx->send.detail));
}

static void hash_change(struct trace *trace, const struct effect *fx)
{
	const uint64_t numbers[] = {fx->trace.claim,
				    fx->trace.session,
				    fx->trace.from,
				    fx->trace.to,
				    fx->trace.end,
				    fx->trace.reason,
				    fx->trace.cls,
				    fx->trace.fence,
				    fx->trace.other,
				    (uint64_t)fx->trace.waited_ms,
				    (uint64_t)fx->trace.held_ms,
				    fx->trace.gpus};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		trace_number(trace, numbers[i]);
	trace_bytes(trace, trace_name(fx->trace.what), strlen(trace_name(fx->trace.what)));
	trace_bytes(trace, fx->trace.name, strlen(fx->trace.name));
	trace_bytes(trace, fx->trace.detail, strlen(fx->trace.detail));
}

static void hash_effect(struct world *w, const struct effect *fx)
{
	uint8_t bytes[CODEC_BYTES_MAX];
	trace_number(&w->trace, (uint64_t)fx->type << 56 ^ fx->to.id);
	switch (fx->type) {
	case EFFECT_APPEND:
		trace_bytes(&w->trace, bytes, codec_encode(&fx->record, bytes));
		return;
	case EFFECT_SEND:
		hash_send(&w->trace, fx);
		return;
	case EFFECT_TRACE:
		hash_change(&w->trace, fx);
		return;
	case EFFECT_SIGNAL:
		trace_number(&w->trace, fx->signal.session);
		trace_number(&w->trace, (uint64_t)fx->signal.signo);
		return;
	case EFFECT_CLOSE:
		return;
	}
}

static void excuse(struct world *w, struct want *want, int64_t t)
{
	if (want->excused_t <= t)
		return;
	want->excused_t = t;
	trace_line(&w->trace, "want %llu: its room may go to others from %lld",
		   (unsigned long long)want->uid, (long long)t);
}

/* The broker takes a lease back, or ends it. From when on may others have its room, by contract?
 * A native process must be dead (EFFECT_SIGNAL excuses after kill_wait); a tab or plain HTTP client
 * cannot be forced, so it has the lock-delay; a lost tab has the linger after its close; a stream
 * that was cut is proof, also for the gateway, but for a model: its server has its time. */
static void observe_taken(struct world *w, struct want *want, const struct claim_record *rec)
{
	const struct core_config *config = &w->broker.config;
	int64_t lock_ms = want->browser || want->binding != BIND_STREAM ? config->lock_delay_ms : 0;
	switch (want->binding) {
	case BIND_NATIVE:
		if (rec->observed && !want->by_operator) /* nobody stops it */
			excuse(w, want, w->t);
		if (fault_unwatched(&w->clients[want->client], want->life)) /* nothing reaches it */
			excuse(w, want,
			       want->lost_t == INT64_MAX
				       ? (rec->revoked ? want->revoked_t : w->t) + config->grace_ms
				       : want->lost_t + config->session_ttl_ms);
		return;
	case BIND_TAB:
		if (want->lost_t != INT64_MAX)
			excuse(w, want, want->lost_t + config->tab_linger_ms);
		excuse(w, want, w->t + lock_ms);
		return;
	case BIND_STREAM:
		excuse(w, want,
		       w->t + (rec->end == END_DISCONNECTED && !want->browser ? 0 : lock_ms));
		return;
	case BIND_HTTP:
		excuse(w, want, rec->end == END_EXPIRED ? w->t : w->t + lock_ms);
		return;
	case BIND_PROXIED:
		excuse(w, want, w->t + (want_is_model(want) ? config->unload_ms_max : 0));
		return;
	case BIND_REMOTE:
	case BINDING_COUNT:
		return;
	}
}

static bool claim_has_fence(const struct claim_record *rec)
{
	return rec->state == CLAIM_OFFERED || outside_is_held(rec->state);
}

/* I2: each grant has a fence above all before it, over crashes and reboots. */
static void observe_fence(struct world *w, struct want *want, uint64_t fence)
{
	if (fence == want->recorded_fence)
		return;
	if (fence <= w->check.fence_before)
		sim_fail(w, "I2: fence %llu of want %llu after %llu", (unsigned long long)fence,
			 (unsigned long long)want->uid, (unsigned long long)w->check.fence_before);
	want->recorded_fence = fence;
	want->offered_t = w->t;
	told_end(w, want); /* its wait is over */
	if (fence > w->check.fence_recorded)
		w->check.fence_recorded = fence;
}

void check_crash(struct world *w)
{
	/* What was never committed was never told, and may be used again. */
	w->check.fence_recorded = w->check.fence_committed;
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		const struct journal_claim *row = journal_claim(&w->journal, want->lease);
		want->recorded_fence = row ? row->rec.fence : 0;
		want->held_fence = row ? row->held_fence : 0;
		if (row)
			want->arrival_ms = row->rec.arrival.v;
		want->live = row && row->live;
		want->draining = want->live && row->rec.state == CLAIM_DRAINING;
		want->inside = want->live ? outside_inside(&row->rec) : 0;
		want->load.on = want->live && row->rec.loading;
		want->load.fence = want->load.on ? row->rec.fence : 0;
		want->now.state = want->live && !want->draining ? row->rec.state : CLAIM_ENDED;
		want->yield_for = 0;
		if (!row || row->rec.state != CLAIM_YIELDING)
			want->yield_asked = false;
	}
}

void check_lost(struct world *w, int64_t in_doubt_ms)
{
	/* Who enforces nothing waits for nobody. */
	w->check.doubt_until_t = w->t + (w->broker.config.observe ? 0 : in_doubt_ms);
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		want->live = want->queued = want->had_room = want->yield_asked = false;
		want->load = (struct want_load){0};
		want->inside = 0;
		if (want->said != WANT_OVER)
			want->said = WANT_ASKED;
		excuse(w, want, w->check.doubt_until_t);
		if (want->excused_t == w->check.doubt_until_t)
			want->doubted_t = want->excused_t;
		told_drop(want);
		want->now.state = CLAIM_ENDED;
	}
}

/* A wait begins, or goes on. */
static void observe_queued(struct world *w, struct want *want)
{
	if (!want->queued) {
		if (want->binding == BIND_HTTP) /* is told nothing while it waits */
			want->said = WANT_WAITING;
		told_begin(w, want, want->asked_t >= 0 ? want->asked_t : w->t);
	} else if (want->had_room) {
		told_begin(w, want, w->t);
	}
}

/* An heir goes on with the turn of its lender, who may be of any class. */
static int64_t least_hold_ms(const struct world *w, const struct want *want)
{
	const struct class_config *classes = w->broker.config.classes;
	int64_t least_ms = classes[want->cls].hold_ms_max;
	for (int cls = 0; cls < LEASE_CLASS_COUNT && want->heir; cls++)
		if (classes[cls].hold_ms_max < least_ms)
			least_ms = classes[cls].hold_ms_max;
	return least_ms;
}

/* It gives its turn back and keeps its memory, or has the turn again: the same one. */
static void observe_parked(struct world *w, struct want *want, const struct claim_record *rec)
{
	const struct want_now *now = &want->now;
	bool cut_short = now->state == CLAIM_YIELDING && want->yield_reason == YIELD_PREEMPTED;
	int64_t ran_ms = want->load.parked ? 0 : broker_now(w).v - now->turn_ms;
	if (rec->parked_slots > 0 && now->parked_slots == 0) {
		w->tally.parks++;
		want->was_parked = true;
		if (rec->need.slots > 0 || rec->parked_slots != now->slots)
			sim_fail(w, "lease %llu gave back %u turns, is parked with %u and has %u",
				 (unsigned long long)rec->id, now->slots, rec->parked_slots,
				 rec->need.slots);
		want->keeps_until_ms = broker_now(w).v;
		if (cut_short)
			want->keeps_until_ms += least_hold_ms(w, want) - now->used_ms - ran_ms;
	} else if (outside_is_held(rec->state) && rec->parked_slots == 0 && now->parked_slots > 0 &&
		   rec->need.slots > 0 &&
		   ((!rec->need.all_slots && rec->need.slots != now->parked_slots) ||
		    rec->fence != now->fence || rec->granted_mask != now->gpus)) {
		sim_fail(w, "lease %llu has other turns than it gave back",
			 (unsigned long long)rec->id);
	}
}

/* What it has now; and when its session computed last. */
static void observe_now(struct world *w, struct want *want, const struct claim_record *rec,
			bool ends)
{
	bool computed = outside_has_room_now(want) && want->now.slots > 0;
	bool anew = rec->fence != want->now.fence; /* gave way and was served again in one step */
	want->now = (struct want_now){.state = ends ? CLAIM_ENDED : rec->state,
				      .gpus = rec->granted_mask,
				      .slots = rec->need.slots,
				      .parked_slots = rec->parked_slots,
				      .need = rec->need,
				      .fence = rec->fence,
				      .held_ms = rec->held_since.v,
				      .turn_ms = rec->turn_since.v,
				      .used_ms = rec->used_ms};
	if (computed && (anew || !(outside_has_room_now(want) && want->now.slots > 0)))
		w->clients[want->client].compute_ended_ms = broker_now(w).v;
	if (rec->lender == 0)
		return;
	struct want *lender = want_of_lease(w, rec->lender);
	if (lender)
		lender->lends = true;
}

static void observe_grant(struct world *w, struct want *want, const struct claim_record *rec,
			  bool ends)
{
	bool held = !ends && outside_is_held(rec->state) && rec->fence != want->held_fence;
	/* Held for a moment, and then the parked lease's turn again. */
	bool resumed =
		ends && rec->resumes != 0 && want->now.state == CLAIM_OFFERED && w->check.accepts;
	if (held) {
		want->held_fence = rec->fence;
		want->yield_asked = false;
	}
	w->check.granted[rec->cls] += held || resumed;
	w->tally.grants += held || resumed;
}

static void observe_claim(struct world *w, const struct record *record)
{
	const struct claim_record *rec = &record->claim;
	struct want *want = want_of(w, rec->ref);
	if (!want)
		sim_fail(w, "claim %llu carries a ref that nobody used",
			 (unsigned long long)rec->id);
	trace_line(&w->trace, "  record: claim %llu want %llu %s%s%s fence %llu",
		   (unsigned long long)rec->id, (unsigned long long)rec->ref,
		   record->type == RECORD_CLAIM_PUT ? claim_state_name((int)rec->state)
						    : end_reason_name((int)rec->end),
		   record->type == RECORD_CLAIM_PUT ? "" : " (end)", rec->revoked ? " revoked" : "",
		   (unsigned long long)rec->fence);
	want_activate(w, want);
	w->check.recorded = true;
	if (want->lease != rec->id) {
		want_bind_lease(w, want, rec->id);
		want->lease = rec->id;
		want->load = (struct want_load){0}; /* a lease of its own, with all its time */
		want->arrival_ms = rec->arrival.v;
	}
	bool ends = record->type == RECORD_CLAIM_END, drains = rec->state == CLAIM_DRAINING;
	if (ends)
		w->leftover_mask |= want->measured_gpus;
	if (want->draining) { /* it was over before: now its room is free, too */
		want->live = !ends;
		return;
	}
	check_place(w, want, rec);
	yield_record(w, want, rec, ends || drains);
	evict_record(w, want, rec, ends || drains);
	if (rec->state == CLAIM_OFFERED && rec->fence != want->recorded_fence)
		evict_offered(w, want);
	inside_record(w, want, rec, ends || drains);
	load_record(w, want, rec, ends || drains);
	check_settling(w, want, record);
	want->heir = rec->state != CLAIM_QUEUED && (want->heir || (want->lender && !rec->lender));
	want->lender = rec->lender;
	want->was_lent |= rec->lender != 0;
	check_observe_record(w, want, rec);
	if (claim_has_fence(rec))
		observe_fence(w, want, rec->fence);
	if (record->type == RECORD_CLAIM_PUT && rec->state == CLAIM_QUEUED)
		observe_queued(w, want);
	want->live = !ends;
	want->draining = drains;
	ends |= drains;
	if (ends)
		check_linger(w, want, rec);
	/* Nobody is there to be told; perhaps it has asked again already, elsewhere. */
	if (ends && rec->end == END_DISCONNECTED && want->binding == BIND_HTTP)
		want->said = WANT_ASKED;
	want->queued = true;
	want->had_room = outside_is_held(rec->state);
	want->had_offer = rec->state == CLAIM_OFFERED;
	if ((rec->revoked && !drains) || (ends && rec->end != END_RELEASED))
		observe_taken(w, want, rec);
	observe_grant(w, want, rec, ends);
	if (!ends)
		observe_parked(w, want, rec);
	if (ends) {
		w->tally.ended++;
		w->tally.timeouts += rec->end == END_TIMEOUT;
		told_drop(want);
	}
	observe_now(w, want, rec, ends);
}

static void observe_signal(struct world *w, const struct effect *fx)
{
	const struct client *client = world_session_client(w, fx->signal.session);
	trace_line(&w->trace, "  signal %d for session %llu", fx->signal.signo,
		   (unsigned long long)fx->signal.session);
	if (!client || fx->signal.signo != SIGKILL)
		return;
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (want->client == (int)client->index && want->life == client->life)
			excuse(w, want, w->t + w->broker.config.kill_wait_ms);
	}
}

/* The core took this connection for its session's, be it one that its client has given up, whose
 * hello was late, and be it gone before it can be told. */
static void note_attached(struct world *w, const struct effect *fx)
{
	struct conn *conn = net_conn(w, fx->to.id);
	struct want *model = conn && conn->gateway ? want_of(w, conn->want) : NULL;
	if (model && (fx->send.msg == SEND_GRANTED || fx->send.msg == SEND_QUEUED))
		model->lost_t = INT64_MAX; /* asked for again after a restart */
	if (fx->send.msg != SEND_WELCOME || !conn || conn->client < 0)
		return;
	conn->taken = true;
	if (w->clients[conn->client].life == conn->life)
		w->clients[conn->client].attached = conn->id;
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (want->client == conn->client && want->life == conn->life)
			want->lost_t = INT64_MAX;
	}
}

static void observe(struct world *w, const struct effect *fx)
{
	hash_effect(w, fx);
	if (fx->type == EFFECT_SIGNAL)
		observe_signal(w, fx);
	if (fx->type == EFFECT_SEND) {
		check_rules(w, fx);
		note_attached(w, fx);
	}
	check_observe(w, fx);
	if (fx->type != EFFECT_APPEND)
		return;
	if (fx->record.type == RECORD_CLAIM_PUT || fx->record.type == RECORD_CLAIM_END)
		observe_claim(w, &fx->record);
}

/* A jump freezes silence once; the next freeze may begin when this one was used. */
static void note_time(struct world *w, const struct event *event)
{
	struct check *check = &w->check;
	struct conn *conn = net_conn(w, event->from.id);
	if (conn)
		conn->heard_ms = w->t - w->stalled_ms;
	if (event->type == EVENT_TICK)
		check->ticked_t = w->t;
	if (event->type != EVENT_CLOCK_JUMP)
		return;
	if (check->ticked_t >= check->settled_t)
		check->settled_t = w->t + w->broker.config.settle_ms;
	else
		check->settled_t += event->stalled_ms;
}

/* When the broker learned that a session's connection is gone: the linger runs from here. */
static void note_loss(struct world *w, const struct event *event)
{
	const struct conn *conn = net_conn(w, event->from.id);
	if (event->type != EVENT_CONN_CLOSED || !conn || conn->client < 0 || !conn->taken)
		return;
	struct client *client = &w->clients[conn->client];
	if (client->attached == conn->id)
		client->attached = 0;
	else if (client->life == conn->life)
		return; /* it was resumed elsewhere before */
	for (size_t i = 0; i < w->wants.active_count; i++) {
		struct want *want = want_of(w, w->wants.active[i]);
		if (want->client != conn->client || want->life != conn->life)
			continue;
		if (want->lost_t == INT64_MAX)
			want->lost_t = w->t;
		told_drop(want);
	}
}

static const char *event_name(enum event_type type)
{
	static const char *const names[EVENT_TYPE_COUNT] = {
		[EVENT_CONFIG] = "config",
		[EVENT_RESTORE] = "restore",
		[EVENT_START] = "start",
		[EVENT_SESSION_OPEN] = "session-open",
		[EVENT_CONN_CLOSED] = "conn-closed",
		[EVENT_PEER_EXIT] = "peer-exit",
		[EVENT_ALIVE] = "alive",
		[EVENT_ACQUIRE] = "acquire",
		[EVENT_ACCEPT] = "accept",
		[EVENT_CANCEL] = "cancel",
		[EVENT_RELEASE] = "release",
		[EVENT_RENEW] = "renew",
		[EVENT_READY] = "ready",
		[EVENT_YIELDING] = "yielding",
		[EVENT_CHANGE] = "change",
		[EVENT_LEND] = "lend",
		[EVENT_BYE] = "bye",
		[EVENT_ADMIN] = "admin",
		[EVENT_GPU_SAMPLE] = "gpu-sample",
		[EVENT_JOURNAL] = "journal",
		[EVENT_REWRITE] = "rewrite",
		[EVENT_CLOCK_JUMP] = "clock-jump",
		[EVENT_TICK] = "tick",
		[EVENT_DRAIN] = "drain",
		[EVENT_PROCESSES] = "processes",
		[EVENT_PEER_REACH] = "peer-reach",
	};
	return names[type];
}

/* Whose lease the sender may say this of. */
static uint64_t ready_of(struct world *w, const struct event *event)
{
	const struct conn *conn = net_conn(w, event->from.id);
	const struct want *want = conn && event->renew.lease ? want_of_lease(w, event->renew.lease)
							     : want_of(w, conn ? conn->want : 0);
	return want && want->client == conn->client && want->life == conn->life ? want->uid : 0;
}

void check_step(struct world *w, const struct event *event)
{
	struct broker *b = &w->broker;
	if (event->type != EVENT_TICK || b->fx.count > b->seen)
		trace_line(&w->trace, "%s conn %llu", event_name(event->type),
			   (unsigned long long)event->from.id);
	if (event->type == EVENT_ACQUIRE)
		trace_line(&w->trace, "  want %llu (%s, %s) needs %u turns, %llu MiB on %u of %#x",
			   (unsigned long long)event->acquire.ref,
			   binding_name((int)event->acquire.binding),
			   lease_class_name((int)event->acquire.cls), event->acquire.need.slots,
			   (unsigned long long)event->acquire.need.vram_bytes >> 20,
			   event->acquire.need.gpu_count, event->acquire.need.gpu_mask);
	if (event->type == EVENT_ACQUIRE &&
	    (event->acquire.loads || event->acquire.guests || event->acquire.host))
		trace_line(&w->trace, "  .. %sinside %llu, takes in %u%s",
			   event->acquire.loads ? "loads, " : "",
			   (unsigned long long)event->acquire.host, event->acquire.guests,
			   event->acquire.guests_open ? " of anybody" : "");
	note_loss(w, event);
	w->check.ticking = event->type == EVENT_TICK;
	w->check.accepts = event->type == EVENT_ACCEPT;
	w->check.ready = event->type == EVENT_READY ? ready_of(w, event) : 0;
	note_time(w, event);
	w->check.fence_before = w->check.fence_recorded;
	for (; b->seen < b->fx.count; b->seen++)
		observe(w, &b->fx.v[b->seen]);
	yield_step(w);
	evict_step(w);
	inside_step(w, event);
	core_check(b->core, event->now);
	w->tally.steps++;
}

void check_finish(struct world *w)
{
	check_sent_finish(&w->check);
}
