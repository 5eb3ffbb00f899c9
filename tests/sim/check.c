/* check: after each core_step. The core's own asserts, the trace hash, and what the new records and
 * signals say about who must still be given time before the room goes to another. Messages are
 * judged in check_sent.c, room in check_room.c, turns and restarts in check_turn.c. */
#include "check.h"

#include <signal.h>
#include <string.h>

#include "check_private.h"
#include "core/binding.h"
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

static void excuse(struct world *w, struct job *job, int64_t t)
{
	if (job->excused_t <= t)
		return;
	job->excused_t = t;
	trace_line(&w->trace, "job %llu: its room may go to others from %lld",
		   (unsigned long long)job->uid, (long long)t);
}

/* The broker takes a lease back, or ends it. From when on may others have its room, by contract?
 * A native process must be dead (EFFECT_SIGNAL excuses after kill_wait); a tab or plain HTTP client
 * cannot be forced, so it has the lock-delay; a lost tab has the linger after its close; a stream
 * that was cut is proof, also for the gateway, but for a model: its server has its time. */
static void observe_taken(struct world *w, struct job *job, const struct claim_record *rec)
{
	const struct core_config *config = &w->broker.config;
	int64_t lock_ms = job->browser || job->binding != BIND_STREAM ? config->lock_delay_ms : 0;
	switch (job->binding) {
	case BIND_NATIVE:
		if (rec->observed && !job->by_operator) /* nobody stops it */
			excuse(w, job, w->t);
		if (fault_unwatched(&w->clients[job->client], job->life)) /* nothing reaches it */
			excuse(w, job,
			       job->lost_t == INT64_MAX
				       ? (rec->revoked ? job->revoked_t : w->t) + config->grace_ms
				       : job->lost_t + config->session_ttl_ms);
		return;
	case BIND_TAB:
		if (job->lost_t != INT64_MAX)
			excuse(w, job, job->lost_t + config->tab_linger_ms);
		excuse(w, job, w->t + lock_ms);
		return;
	case BIND_STREAM:
		excuse(w, job,
		       w->t + (rec->end == END_DISCONNECTED && !job->browser ? 0 : lock_ms));
		return;
	case BIND_HTTP:
		excuse(w, job, rec->end == END_EXPIRED ? w->t : w->t + lock_ms);
		return;
	case BIND_PROXIED:
		excuse(w, job, w->t + (job_is_model(job) ? config->unload_ms_max : 0));
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
static void observe_fence(struct world *w, struct job *job, uint64_t fence)
{
	if (fence == job->recorded_fence)
		return;
	if (fence <= w->check.fence_before)
		sim_fail(w, "I2: fence %llu of job %llu after %llu", (unsigned long long)fence,
			 (unsigned long long)job->uid, (unsigned long long)w->check.fence_before);
	job->recorded_fence = fence;
	job->offered_t = w->t;
	told_end(w, job); /* its wait is over */
	if (fence > w->check.fence_recorded)
		w->check.fence_recorded = fence;
}

void check_crash(struct world *w)
{
	/* What was never committed was never told, and may be used again. */
	w->check.fence_recorded = w->check.fence_committed;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		const struct journal_claim *row = journal_claim(&w->journal, job->lease);
		job->recorded_fence = row ? row->rec.fence : 0;
		job->held_fence = row ? row->held_fence : 0;
		if (row)
			job->arrival_ms = row->rec.arrival.v;
		job->live = row && row->live;
		job->draining = job->live && row->rec.state == CLAIM_DRAINING;
		job->inside = job->live ? outside_inside(&row->rec) : 0;
		job->load.on = job->live && row->rec.loading;
		job->load.fence = job->load.on ? row->rec.fence : 0;
		job->now.state = job->live && !job->draining ? row->rec.state : CLAIM_ENDED;
		job->yield_for = 0;
		if (!row || row->rec.state != CLAIM_YIELDING)
			job->yield_asked = false;
	}
}

void check_lost(struct world *w, int64_t in_doubt_ms)
{
	/* Who enforces nothing waits for nobody. */
	w->check.doubt_until_t = w->t + (w->broker.config.observe ? 0 : in_doubt_ms);
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		job->live = job->queued = job->had_room = job->yield_asked = false;
		job->load = (struct job_load){0};
		job->inside = 0;
		if (job->said != JOB_OVER)
			job->said = JOB_ASKED;
		excuse(w, job, w->check.doubt_until_t);
		if (job->excused_t == w->check.doubt_until_t)
			job->doubted_t = job->excused_t;
		told_drop(job);
		job->now.state = CLAIM_ENDED;
	}
}

/* A wait begins, or goes on. */
static void observe_queued(struct world *w, struct job *job)
{
	if (!job->queued) {
		if (job->binding == BIND_HTTP) /* is told nothing while it waits */
			job->said = JOB_WAITING;
		told_begin(w, job, job->asked_t >= 0 ? job->asked_t : w->t);
	} else if (job->had_room) {
		told_begin(w, job, w->t);
	}
}

/* An heir goes on with the turn of its lender, who may be of any class. */
static int64_t least_hold_ms(const struct world *w, const struct job *job)
{
	const struct class_config *classes = w->broker.config.classes;
	int64_t least_ms = classes[job->cls].hold_ms_max;
	for (int cls = 0; cls < LEASE_CLASS_COUNT && job->heir; cls++)
		if (classes[cls].hold_ms_max < least_ms)
			least_ms = classes[cls].hold_ms_max;
	return least_ms;
}

/* It gives its turn back and keeps its memory, or has the turn again: the same one. */
static void observe_parked(struct world *w, struct job *job, const struct claim_record *rec)
{
	const struct job_now *now = &job->now;
	bool cut_short = now->state == CLAIM_YIELDING && job->yield_reason == YIELD_PREEMPTED;
	int64_t ran_ms = job->load.parked ? 0 : broker_now(w).v - now->turn_ms;
	if (rec->parked_slots > 0 && now->parked_slots == 0) {
		w->tally.parks++;
		job->was_parked = true;
		if (rec->need.slots > 0 || rec->parked_slots != now->slots)
			sim_fail(w, "lease %llu gave back %u turns, is parked with %u and has %u",
				 (unsigned long long)rec->id, now->slots, rec->parked_slots,
				 rec->need.slots);
		job->keeps_until_ms = broker_now(w).v;
		if (cut_short)
			job->keeps_until_ms += least_hold_ms(w, job) - now->used_ms - ran_ms;
	} else if (outside_is_held(rec->state) && rec->parked_slots == 0 && now->parked_slots > 0 &&
		   rec->need.slots > 0 &&
		   ((!rec->need.all_slots && rec->need.slots != now->parked_slots) ||
		    rec->fence != now->fence || rec->granted_mask != now->gpus)) {
		sim_fail(w, "lease %llu has other turns than it gave back",
			 (unsigned long long)rec->id);
	}
}

/* What it has now; and when its session computed last. */
static void observe_now(struct world *w, struct job *job, const struct claim_record *rec, bool ends)
{
	bool computed = outside_has_room_now(job) && job->now.slots > 0;
	bool anew = rec->fence != job->now.fence; /* gave way and was served again in one step */
	struct job *model = job_of_lease(w, job->now.uses);
	job->now = (struct job_now){.state = ends ? CLAIM_ENDED : rec->state,
				    .gpus = rec->granted_mask,
				    .slots = rec->need.slots,
				    .parked_slots = rec->parked_slots,
				    .need = rec->need,
				    .fence = rec->fence,
				    .held_ms = rec->held_since.v,
				    .turn_ms = rec->turn_since.v,
				    .used_ms = rec->used_ms,
				    .loaded_ms = rec->loaded_ms,
				    .uses = rec->uses};
	if (computed && (anew || !(outside_has_room_now(job) && job->now.slots > 0))) {
		w->clients[job->client].compute_ended_ms = broker_now(w).v;
		if (model)
			model->users_ended_ms = broker_now(w).v;
	}
	if (rec->lender == 0)
		return;
	struct job *lender = job_of_lease(w, rec->lender);
	if (lender)
		lender->lends = true;
}

static void observe_grant(struct world *w, struct job *job, const struct claim_record *rec,
			  bool ends)
{
	bool held = !ends && outside_is_held(rec->state) && rec->fence != job->held_fence;
	/* Held for a moment, and then the parked lease's turn again. */
	bool resumed =
		ends && rec->resumes != 0 && job->now.state == CLAIM_OFFERED && w->check.accepts;
	if (held) {
		job->held_fence = rec->fence;
		job->yield_asked = false;
	}
	w->check.granted[rec->cls] += held || resumed;
	w->tally.grants += held || resumed;
}

static void observe_claim(struct world *w, const struct record *record)
{
	const struct claim_record *rec = &record->claim;
	struct job *job = job_of(w, rec->ref);
	if (!job)
		sim_fail(w, "claim %llu carries a ref that nobody used",
			 (unsigned long long)rec->id);
	trace_line(&w->trace, "  record: claim %llu job %llu %s%s%s fence %llu",
		   (unsigned long long)rec->id, (unsigned long long)rec->ref,
		   record->type == RECORD_CLAIM_PUT ? claim_state_name((int)rec->state)
						    : end_reason_name((int)rec->end),
		   record->type == RECORD_CLAIM_PUT ? "" : " (end)", rec->revoked ? " revoked" : "",
		   (unsigned long long)rec->fence);
	job_activate(w, job);
	w->check.recorded = true;
	if (job->lease != rec->id) {
		job_bind_lease(w, job, rec->id);
		job->lease = rec->id;
		/* A lease of its own; with an earlier one's place comes what that has loaded. */
		job->load = (struct job_load){.spent_ms = rec->loaded_ms};
		job->arrival_ms = rec->arrival.v;
	}
	bool ends = record->type == RECORD_CLAIM_END, drains = rec->state == CLAIM_DRAINING;
	if (ends)
		w->leftover_mask |= job->measured_gpus;
	if (job->draining) { /* it was over before: now its room is free, too */
		job->live = !ends;
		return;
	}
	check_place(w, job, rec);
	yield_record(w, job, rec, ends || drains);
	evict_record(w, job, rec, ends || drains);
	if (rec->state == CLAIM_OFFERED && rec->fence != job->recorded_fence)
		evict_offered(w, job);
	inside_record(w, job, rec, ends || drains);
	load_record(w, job, rec, ends || drains);
	check_settling(w, job, record);
	job->heir = rec->state != CLAIM_QUEUED && (job->heir || (job->lender && !rec->lender));
	job->lender = rec->lender;
	job->was_lent |= rec->lender != 0;
	check_observe_record(w, job, rec);
	if (claim_has_fence(rec))
		observe_fence(w, job, rec->fence);
	if (record->type == RECORD_CLAIM_PUT && rec->state == CLAIM_QUEUED)
		observe_queued(w, job);
	job->live = !ends;
	job->draining = drains;
	ends |= drains;
	if (ends)
		check_linger(w, job, rec);
	/* Nobody is there to be told; perhaps it has asked again already, elsewhere. */
	if (ends && rec->end == END_DISCONNECTED && job->binding == BIND_HTTP)
		job->said = JOB_ASKED;
	job->queued = true;
	job->had_room = outside_is_held(rec->state);
	job->had_offer = rec->state == CLAIM_OFFERED;
	if ((rec->revoked && !drains) || (ends && rec->end != END_RELEASED))
		observe_taken(w, job, rec);
	observe_grant(w, job, rec, ends);
	if (!ends)
		observe_parked(w, job, rec);
	if (ends) {
		w->tally.ended++;
		w->tally.timeouts += rec->end == END_TIMEOUT;
		told_drop(job);
	}
	observe_now(w, job, rec, ends);
}

static void observe_signal(struct world *w, const struct effect *fx)
{
	const struct client *client = world_session_client(w, fx->signal.session);
	trace_line(&w->trace, "  signal %d for session %llu", fx->signal.signo,
		   (unsigned long long)fx->signal.session);
	if (!client || fx->signal.signo != SIGKILL)
		return;
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client == (int)client->index && job->life == client->life)
			excuse(w, job, w->t + w->broker.config.kill_wait_ms);
	}
}

/* The core took this connection for its session's, be it one that its client has given up, whose
 * hello was late, and be it gone before it can be told. */
static void note_attached(struct world *w, const struct effect *fx)
{
	struct conn *conn = net_conn(w, fx->to.id);
	struct job *model = conn && conn->gateway ? job_of(w, conn->job) : NULL;
	if (model && (fx->send.msg == SEND_GRANTED || fx->send.msg == SEND_QUEUED))
		model->lost_t = INT64_MAX; /* asked for again after a restart */
	if (fx->send.msg != SEND_WELCOME || !conn || conn->client < 0)
		return;
	conn->taken = true;
	if (w->clients[conn->client].life == conn->life)
		w->clients[conn->client].attached = conn->id;
	if (!fx->send.flag)
		return; /* a new session has nothing yet */
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client == conn->client && job->life == conn->life)
			job->lost_t = INT64_MAX;
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
	for (size_t i = 0; i < w->jobs.active_count; i++) {
		struct job *job = job_of(w, w->jobs.active[i]);
		if (job->client != conn->client || job->life != conn->life)
			continue;
		if (job->lost_t == INT64_MAX)
			job->lost_t = w->t;
		told_drop(job);
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
	const struct job *job = conn && event->renew.lease ? job_of_lease(w, event->renew.lease)
							   : job_of(w, conn ? conn->job : 0);
	return job && job->client == conn->client && job->life == conn->life ? job->uid : 0;
}

void check_step(struct world *w, const struct event *event)
{
	struct broker *b = &w->broker;
	if (event->type != EVENT_TICK || b->fx.count > b->seen)
		trace_line(&w->trace, "%s conn %llu", event_name(event->type),
			   (unsigned long long)event->from.id);
	if (event->type == EVENT_ACQUIRE)
		trace_line(&w->trace, "  job %llu (%s, %s) needs %u turns, %llu MiB on %u of %#x",
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
	yield_step(w, event->type == EVENT_START);
	evict_step(w);
	inside_step(w, event);
	core_check(b->core, event->now);
	w->tally.steps++;
}

void check_finish(struct world *w)
{
	check_sent_finish(&w->check);
}
