/* replay_baton: the policy `baton`: the core itself, driven by clients that act as the trace says.
 * Each request is a client with its own connection; it accepts an offer at once, releases when
 * asked to yield and requeues for the rest, and answers heartbeats while alive. A dying client is
 * silent: its connection closes or, over plain HTTP, it just never calls again. Time is virtual: it
 * jumps from one deadline to the next. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/memory.h"
#include "core/binding.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/view.h"
#include "replay/replay_private.h"
#include "replay/replay_result.h"

enum { TTL_MS = 7 * 24 * 3600 * 1000, SERVE_MS = 60 * 1000 };

/* What a client does next; among equal times in this order. */
enum act {
	ACT_LIVE, /* replies due at once: accept, alive */
	ACT_ARRIVE,
	ACT_READY, /* what it brings in is there */
	ACT_DIE,
	ACT_FINISH, /* has used the GPU for as long as it wanted */
	ACT_YIELD,
	ACT_COUNT
};

struct actor {
	struct heap_node timers[ACT_COUNT];
	const struct replay_request *request;
	size_t index;
	uint64_t conn, session, lease;
	struct token token;
	bool accepts, alive; /* ACT_LIVE will send it */
	bool runs;           /* uses the GPU now */
	bool gone;           /* dead or done: receives nothing */
	int64_t used_ms, run_since_ms;
};

struct stage {
	const struct replay_trace *trace;
	struct replay_result *result;
	struct core *core;
	struct core_config config;
	struct effects fx;
	struct heap agenda;
	struct actor *actors;
	int64_t now_ms, wake_ms;
	uint64_t random;
	size_t ended; /* claims */
};

static void plan_act(struct stage *s, struct actor *a, enum act act, int64_t at_ms)
{
	a->timers[act].id = (uint64_t)a->index * ACT_COUNT + act;
	heap_set(&s->agenda, &a->timers[act], at_ms);
}

static void cancel_act(struct stage *s, struct actor *a, enum act act)
{
	heap_remove(&s->agenda, &a->timers[act]);
}

/* Tokens need bits, not secrecy: a counter, mixed as in splitmix64. */
static struct token next_token(struct stage *s)
{
	struct token token;

	for (size_t i = 0; i < sizeof(token.b); i += 8) {
		uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);
		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		z ^= z >> 31;
		memcpy(token.b + i, &z, 8);
	}

	return token;
}

static struct event event_of(struct stage *s, const struct actor *a, enum event_type type)
{
	struct event event;

	memset(&event, 0, sizeof(event));
	event.type = type;
	event.now.v = s->now_ms;
	event.wall.v = s->now_ms;
	if (a)
		event.from = party_of(binding_of(a->request->binding)->party, a->conn);
	event.random = next_token(s);
	return event;
}

static void step_core(struct stage *s, const struct event *event)
{
	core_step(s->core, event, &s->fx);
	s->wake_ms = s->fx.next_wake.v;
}

static bool has_session(const struct actor *a)
{
	return a->request->binding == BIND_TAB || a->request->binding == BIND_NATIVE;
}

static void leave_stage(struct stage *s, struct actor *a)
{
	for (int act = 0; act < ACT_COUNT; act++)
		cancel_act(s, a, (enum act)act);
	a->gone = true;
	a->runs = false;
}

/* Closes the connection cleanly. */
static void say_bye(struct stage *s, struct actor *a)
{
	leave_stage(s, a);
	struct event event = event_of(s, a, has_session(a) ? EVENT_BYE : EVENT_CONN_CLOSED);
	step_core(s, &event);
}

/* What it is told when it begins to wait; -1: nothing. */
static int64_t bound_of(const struct stage *s, const struct actor *a)
{
	for (size_t i = 0; i < s->fx.count; i++) {
		const struct effect *effect = &s->fx.v[i];
		const struct claim_record *claim = &effect->record.claim;
		if (effect->type == EFFECT_APPEND && effect->record.type == RECORD_CLAIM_PUT &&
		    claim->ref == a->index + 1)
			return core_bound_ms(s->core, claim->id, (struct mono_ms){s->now_ms});
	}
	return -1;
}

static void send_claim(struct stage *s, struct actor *a)
{
	const struct replay_request *q = a->request;
	bool browser = q->binding == BIND_TAB;

	replay_result_phase(s->result, a->index, PHASE_WAITING, s->now_ms);
	if (has_session(a)) {
		struct event open = event_of(s, a, EVENT_SESSION_OPEN);
		open.session.binding = q->binding;
		open.session.browser = browser;
		open.session.name = q->id;
		open.session.uid = -1;
		open.session.principal = q->principal;
		if (q->binding == BIND_NATIVE)
			open.session.pid = (int64_t)a->index + 1;
		step_core(s, &open);
	}

	struct event event = event_of(s, a, EVENT_ACQUIRE);
	event.acquire.binding = q->binding;
	event.acquire.browser = browser;
	event.acquire.preemptible = q->preemptible;
	event.acquire.evictable = q->evictable;
	event.acquire.loads = q->load_ms > 0;
	event.acquire.load_ms = q->load_ms;
	event.acquire.uninterruptible_ms = q->uninterruptible_ms;
	event.acquire.principal = q->principal;
	event.acquire.cls = q->cls;
	event.acquire.ref = a->index + 1;
	event.acquire.need = q->need;
	event.acquire.ttl_ms = TTL_MS; /* it renews as long as it lives */
	event.acquire.timeout_ms =
		q->timeout_ms ? q->timeout_ms : 1; /* 0 would be no wait at all */
	event.acquire.name = q->id;
	step_core(s, &event);
	replay_result_told(s->result, a->index, bound_of(s, a));
}

/* The connection closes without a goodbye; for a native program the process exit is seen too. */
static void die_silently(struct stage *s, struct actor *a)
{
	bool plain_holder = a->request->binding == BIND_HTTP;
	leave_stage(s, a);
	replay_result_phase(s->result, a->index, PHASE_LOST, s->now_ms);
	if (plain_holder)
		return; /* the connection ended with the reply: only the TTL ends the lease */
	struct event event = event_of(s, a, EVENT_CONN_CLOSED);
	event.closed.peer_gone = a->request->binding == BIND_NATIVE;
	step_core(s, &event);
}

static void give_back(struct stage *s, struct actor *a, bool comes_back)
{
	if (a->runs && s->now_ms > a->run_since_ms)
		a->used_ms += s->now_ms - a->run_since_ms;
	a->runs = false;
	cancel_act(s, a, ACT_READY);
	cancel_act(s, a, ACT_FINISH);
	cancel_act(s, a, ACT_YIELD);
	cancel_act(s, a, ACT_DIE);
	struct event event = event_of(s, a, EVENT_RELEASE);
	event.release.requeue = comes_back;
	if (has_session(a))
		event.release.lease = a->lease;
	else
		event.release.token = &a->token;

	step_core(s, &event);
	if (comes_back)
		return;

	if (a->request->binding == BIND_HTTP)
		leave_stage(s, a);
	else
		say_bye(s, a);
}

static void say_what_is_due(struct stage *s, struct actor *a)
{
	if (a->alive) {
		struct event event = event_of(s, a, EVENT_ALIVE);
		step_core(s, &event);
	}

	if (a->accepts) {
		struct event event = event_of(s, a, EVENT_ACCEPT);
		event.lease = a->lease;
		step_core(s, &event);
	}
	a->alive = a->accepts = false;
}

static void say_ready(struct stage *s, struct actor *a)
{
	struct event event = event_of(s, a, EVENT_READY);
	if (has_session(a))
		event.renew.lease = a->lease;
	else
		event.renew.token = &a->token;
	step_core(s, &event);
}

static void act_now(struct stage *s, struct actor *a, enum act act)
{
	switch (act) {
	case ACT_LIVE:
		say_what_is_due(s, a);
		break;
	case ACT_ARRIVE:
		send_claim(s, a);
		break;
	case ACT_READY:
		say_ready(s, a);
		break;
	case ACT_DIE:
		die_silently(s, a);
		break;
	case ACT_FINISH:
		if (a->lease)
			give_back(s, a, false);
		else
			say_bye(s, a);
		break;
	case ACT_YIELD:
		give_back(s, a, true);
		break;
	case ACT_COUNT:
		assert(false);
	}
}

static void begin_run(struct stage *s, struct actor *a)
{
	const struct replay_request *q = a->request;
	if (a->runs)
		return;
	a->runs = true;
	a->run_since_ms = s->now_ms + q->load_ms;
	if (q->load_ms > 0)
		plan_act(s, a, ACT_READY, a->run_since_ms);
	int64_t wants_ms = q->dies_ms < 0 ? q->hold_ms : q->dies_ms;
	int64_t left_ms = wants_ms > a->used_ms ? wants_ms - a->used_ms : 0;
	plan_act(s, a, q->dies_ms < 0 ? ACT_FINISH : ACT_DIE, a->run_since_ms + left_ms);
}

/* A message from the core reaches its client. Replies are planned, not stepped here. */
static void take_message(struct stage *s, struct actor *a, const struct effect *effect)
{
	switch (effect->send.msg) {
	case SEND_OFFERED:
		a->lease = effect->send.lease;
		a->accepts = true;
		plan_act(s, a, ACT_LIVE, s->now_ms);
		break;
	case SEND_GRANTED:
		a->lease = effect->send.lease;
		a->token = effect->send.token;
		begin_run(s, a);
		break;
	case SEND_YIELD:
		if (a->runs && !heap_has(&a->timers[ACT_YIELD]))
			plan_act(s, a, ACT_YIELD, s->now_ms + a->request->yield_ms);
		break;
	case SEND_KEEP:
		cancel_act(s, a, ACT_YIELD);
		break;
	case SEND_HEARTBEAT:
		a->alive = true;
		plan_act(s, a, ACT_LIVE, s->now_ms);
		break;
	case SEND_TIMEOUT:
		a->lease = 0;
		plan_act(s, a, ACT_FINISH, s->now_ms);
		break;
	case SEND_REVOKED: /* it stops using the GPU and confirms */
		cancel_act(s, a, ACT_YIELD);
		cancel_act(s, a, ACT_DIE);
		plan_act(s, a, ACT_FINISH, s->now_ms);
		break;
	case SEND_DENIED:
		if (s->result->verdicts[a->index].phase == PHASE_WAITING && !a->lease) {
			replay_result_end(s->result, a->index, ENDING_DENIED, s->now_ms);
			leave_stage(s, a);
		}
		break;
	case SEND_WELCOME:
	case SEND_CLAIM:
	case SEND_QUEUED:
	case SEND_RELEASED:
	case SEND_RENEWED:
	case SEND_CHANGED:
	case SEND_LENT:
	case SEND_NOTICE:
	case SEND_OK:
	case SEND_COUNT:
		break;
	}
}

static enum replay_end ending_of(const struct replay_verdict *verdict, enum end_reason end)
{
	if (verdict->phase == PHASE_LOST)
		return ENDING_DIED;
	if (end == END_RELEASED)
		return ENDING_RELEASED;
	return end == END_TIMEOUT ? ENDING_TIMEOUT : ENDING_REVOKED;
}

/* The journal records of a claim give its state for the timeline, too. */
static void note_record(struct stage *s, const struct record *record)
{
	if (record->type != RECORD_CLAIM_PUT && record->type != RECORD_CLAIM_END)
		return;

	static const enum replay_phase phases[CLAIM_STATE_COUNT] = {
		[CLAIM_QUEUED] = PHASE_WAITING,    [CLAIM_OFFERED] = PHASE_WAITING,
		[CLAIM_LOADING] = PHASE_HOLDING,   [CLAIM_HELD] = PHASE_HOLDING,
		[CLAIM_YIELDING] = PHASE_YIELDING, [CLAIM_ENDED] = PHASE_NONE,
		[CLAIM_DRAINING] = PHASE_NONE,
	};
	const struct claim_record *claim = &record->claim;
	size_t i = claim->ref - 1;
	assert(i < s->trace->count);
	struct replay_verdict *verdict = &s->result->verdicts[i];
	s->ended += record->type == RECORD_CLAIM_END;
	if (record->type == RECORD_CLAIM_END)
		replay_result_end(s->result, i, ending_of(verdict, claim->end), s->now_ms);
	else if (verdict->phase != PHASE_LOST)
		replay_result_place(s->result, i, claim->granted_mask, claim->need.slots);
	if (record->type == RECORD_CLAIM_PUT && verdict->phase != PHASE_LOST)
		replay_result_phase(s->result, i, phases[claim->state], s->now_ms);
}

static void deliver_effects(struct stage *s)
{
	for (size_t i = 0; i < s->fx.count; i++) {
		const struct effect *effect = &s->fx.v[i];
		if (effect->type == EFFECT_APPEND)
			note_record(s, &effect->record);
		if (effect->type != EFFECT_SEND)
			continue;
		assert(effect->to.id <= s->trace->count);
		struct actor *a = &s->actors[effect->to.id - 1];
		if (!a->gone)
			take_message(s, a, effect);
	}
	effects_clear(&s->fx);
}

/* Everything due at this moment, then one TICK, as in an iteration of the daemon's loop. */
static void run_moment(struct stage *s)
{
	struct heap_node *node;

	while ((node = heap_first(&s->agenda)) && node->key <= s->now_ms) {
		struct actor *a = &s->actors[node->id / ACT_COUNT];
		enum act act = (enum act)(node->id % ACT_COUNT);
		cancel_act(s, a, act);
		act_now(s, a, act);
		deliver_effects(s);
	}

	struct event tick = event_of(s, NULL, EVENT_TICK);
	step_core(s, &tick);
	deliver_effects(s);
}

static void set_up(struct stage *s)
{
	s->core = core_create();
	effects_init(&s->fx);
	heap_init(&s->agenda);
	s->actors = check_memory(calloc(s->trace->count, sizeof(*s->actors)));
	for (size_t i = 0; i < s->trace->count; i++) {
		s->actors[i] = (struct actor){
			.request = &s->trace->requests[i], .index = i, .conn = i + 1};
		plan_act(s, &s->actors[i], ACT_ARRIVE, s->trace->requests[i].at_ms);
	}

	struct event config = event_of(s, NULL, EVENT_CONFIG);
	s->config = s->trace->config;
	s->config.observe = false;
	s->config.http_ttl_ms_max = TTL_MS;
	config.config = &s->config;
	step_core(s, &config);
	struct event start = event_of(s, NULL, EVENT_START);
	start.start.epoch = 1;
	start.start.same_boot = true;
	step_core(s, &start);
}

/* A trace says when it is over. What a state's claims did is known, and under other rules it may
 * take longer: then until all are served, each after the other at worst. */
static int64_t last_ms(const struct replay_trace *trace)
{
	int64_t sum_ms = trace->end_ms;

	if (!trace->is_state)
		return trace->end_ms;
	for (size_t i = 0; i < trace->count; i++)
		sum_ms += trace->requests[i].hold_ms + trace->requests[i].load_ms + SERVE_MS;
	return sum_ms;
}

void replay_baton(const struct replay_trace *trace, struct replay_result *result,
		  replay_progress *progress, void *ctx)
{
	struct stage s = {.trace = trace, .result = result};

	int64_t limit_ms = last_ms(trace);
	set_up(&s);
	deliver_effects(&s);
	for (;;) {
		struct heap_node *node = heap_first(&s.agenda);
		int64_t next_ms = node && node->key < s.wake_ms ? node->key : s.wake_ms;
		if (next_ms > limit_ms || (next_ms > trace->end_ms && s.ended == trace->count))
			break;
		s.now_ms = next_ms > s.now_ms ? next_ms : s.now_ms;
		run_moment(&s);
		core_check(s.core, (struct mono_ms){s.now_ms});
		if (progress)
			progress(ctx, s.now_ms);
	}

	if (s.now_ms > result->end_ms)
		result->end_ms = s.now_ms;
	core_destroy(s.core);
	effects_finish(&s.fx);
	heap_finish(&s.agenda);
	free(s.actors);
	replay_result_close(result, trace->count);
}
