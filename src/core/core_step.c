/* core_step: the core's single entry point. It handles an event, runs the scheduler, then emits
 * records, messages and traces in the order that the server must keep. */
#include <string.h>

#include "base/contracts.h"
#include "base/err.h"
#include "core/all_slots.h"
#include "core/claim.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/emit.h"
#include "core/event.h"
#include "core/ledger.h"
#include "core/observe.h"
#include "core/on.h"
#include "core/principal.h"
#include "core/queue.h"
#include "core/sample.h"
#include "core/schedule.h"
#include "core/session.h"
#include "core/shares.h"
#include "core/timer.h"
#include "core/wait_bound.h"
#include "core/walk.h"

enum { TABLE_KEPT = 1024 };

static void on_config(struct core *core, const struct event *event)
{
	PRE(event->config->gpu_count <= LIMIT_GPUS);

	if (!core->configured)
		memcpy(&core->hash_seed, event->random.b, sizeof(core->hash_seed));

	if (core->started && core->config.observe != event->config->observe)
		trace_event(core, event->config->observe ? TRACE_OBSERVING : TRACE_ENFORCING, NULL);
	all_slots_drop(core);
	core->config = *event->config;
	all_slots_take(core);

	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
		if (!core->gpus[gpu].sampled)
			core->gpus[gpu].healthy = gpu < core->config.gpu_count;

	ledger_recap(core, UINT32_MAX);
	walk_retire(core);
	queue_rebuild(core);
	if (core->started && core->config.observe)
		observe_begin(core);

	core->configured = core->promise_anew = true;
	core->queue_changed = true;
}

static void on_alive(struct core *core, const struct event *event)
{
	if (!session_by_conn(core, event->from.id))
		emit_denied(core, event->from, 0, 0, ERR_STATE, "session");
}

static void on_peer_exit(struct core *core, const struct event *event)
{
	struct session *session = session_by_id(core, event->peer.session);

	if (session && session_has_process(session))
		session_peer_exit(core, session, event->peer.rest);
}

static void on_bye(struct core *core, const struct event *event)
{
	struct session *session = session_by_conn(core, event->from.id);

	if (session)
		session_bye(core, session);
	else
		emit_denied(core, event->from, 0, 0, ERR_STATE, "session");
}

static void on_sample(struct core *core, const struct event *event)
{
	if (event->sample.gpu >= core->config.gpu_count)
		return;
	sample_take(core, event);
	core->queue_changed = true;
}

static void on_journal(struct core *core, const struct event *event)
{
	if (core->journal_ok != event->journal.ok)
		trace_event(core, event->journal.ok ? TRACE_JOURNAL_OK : TRACE_JOURNAL_FAILED,
			    NULL);

	core->promise_anew |= event->journal.ok && !core->journal_ok;

	PRE(!(event->journal.ok && event->journal.unwritable));

	core->journal_ok = event->journal.ok;
	estimate_disturbed(core);
	core->unwritable = event->journal.unwritable;
	core->queue_changed = true;
}

static void on_authority(struct core *core, const struct event *event)
{
	uint32_t bit = 1u << event->authority.binding;

	PRE(event->authority.binding < BINDING_COUNT);

	core->withheld = event->authority.ok ? core->withheld & ~bit : core->withheld | bit;

	for (struct rank_node *node = rank_tree_first(&core->places); node;
	     node = rank_tree_next(node)) {
		struct claim *claim = claim_of_place(node);
		if (claim->rec.binding != event->authority.binding)
			continue;

		queue_regroup(core, claim);
		wait_bound_promise(core, claim);
		core->work++;
	}

	core->queue_changed = true;
}

static void on_rewrite(struct core *core, const struct event *event)
{
	PRE(event->type == EVENT_REWRITE);

	for (struct rank_node *node = rank_tree_first(&core->sessions); node;
	     node = rank_tree_next(node))
		session_dirty(core, session_of_id(node));
	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node))
		claim_dirty(core, claim_of_place(node));
	for (struct rank_node *node = rank_tree_first(&core->places); node;
	     node = rank_tree_next(node))
		claim_dirty(core, claim_of_place(node));
}

static void on_drain(struct core *core, const struct event *event)
{
	PRE(event->type == EVENT_DRAIN);
	core->draining = true;
	core->queue_changed = true;
}

static void on_clock_jump(struct core *core, const struct event *event)
{
	PRE(event->type == EVENT_CLOCK_JUMP);
	PRE(event->stalled_ms >= 0);
	timer_jump(core, event->stalled_ms);
}

static void on_tick(struct core *core, const struct event *event)
{
	PRE(event->type == EVENT_TICK);
	timer_tick(core);
}

static void (*const handlers[EVENT_TYPE_COUNT])(struct core *, const struct event *) = {
	[EVENT_CONFIG] = on_config,
	[EVENT_RESTORE] = on_restore,
	[EVENT_START] = on_start,
	[EVENT_SESSION_OPEN] = session_open,
	[EVENT_CONN_CLOSED] = on_conn_closed,
	[EVENT_PEER_EXIT] = on_peer_exit,
	[EVENT_ALIVE] = on_alive,
	[EVENT_ACQUIRE] = on_acquire,
	[EVENT_ACCEPT] = on_accept,
	[EVENT_CANCEL] = on_cancel,
	[EVENT_RELEASE] = on_release,
	[EVENT_RENEW] = on_renew,
	[EVENT_YIELDING] = on_yielding,
	[EVENT_CHANGE] = on_change,
	[EVENT_LEND] = on_lend,
	[EVENT_BYE] = on_bye,
	[EVENT_ADMIN] = on_admin,
	[EVENT_GPU_SAMPLE] = on_sample,
	[EVENT_JOURNAL] = on_journal,
	[EVENT_AUTHORITY] = on_authority,
	[EVENT_REWRITE] = on_rewrite,
	[EVENT_CLOCK_JUMP] = on_clock_jump,
	[EVENT_TICK] = on_tick,
	[EVENT_DRAIN] = on_drain,
	[EVENT_PROCESSES] = session_processes,
	[EVENT_PEER_REACH] = session_peer_reach,
	[EVENT_READY] = on_renew,
};

static void append_claims(struct list *from, struct effects *fx, enum record_type type,
			  struct mono_ms now)
{
	list_each (it, next, from) {
		struct claim *claim = container_of(it, struct claim, in_dirty);
		if (claim->silent)
			continue;

		struct record *record = &effects_add(fx, EFFECT_APPEND)->record;
		record->type = type;
		record->claim = claim->rec;
		record->claim.written = now;
		text_copy(record->detail.text, sizeof(record->detail.text), claim->detail);
	}
}

static void append_sessions(struct list *from, struct effects *fx, enum record_type type)
{
	list_each (it, next, from) {
		struct record *record = &effects_add(fx, EFFECT_APPEND)->record;
		record->type = type;
		record->session = container_of(it, struct session, in_dirty)->rec;
	}
}

static void append_all(struct effects *fx, const struct effects *from)
{
	for (size_t i = 0; i < from->count; i++)
		effects_append(fx, &from->v[i]);
}

/* Ended claims and sessions were still reachable by pointer until here. */
static void free_ended(struct core *core)
{
	list_each (it, next, &core->dirty_claims)
		list_remove(it);
	list_each (it, next, &core->dirty_sessions)
		list_remove(it);

	list_each (it, next, &core->ended_claims)
		claim_free(core, container_of(it, struct claim, in_dirty));
	list_each (it, next, &core->ended_sessions)
		session_free(core, container_of(it, struct session, in_dirty));
}

/* Tables that grew with a crowd shrink after it has left. */
static void trim_tables(struct core *core)
{
	if (core->claims_by_id.size > TABLE_KEPT &&
	    core->claims_by_id.count < core->claims_by_id.size / 8) {
		hash_trim(&core->claims_by_id);
		hash_trim(&core->claims_by_token);
		hash_trim(&core->claims_by_request);
		hash_trim(&core->claims_by_owner);
		hash_trim(&core->claims_by_conn);
	}
	if (core->sessions_by_secret.size > TABLE_KEPT &&
	    core->sessions_by_secret.count < core->sessions_by_secret.size / 8) {
		hash_trim(&core->sessions_by_conn);
		hash_trim(&core->sessions_by_secret);
	}
}

static void flush_effects(struct core *core, struct effects *fx, uint64_t fence_reserved_before)
{
	if (core->fence_reserved != fence_reserved_before && core->started) {
		struct record *record = &effects_add(fx, EFFECT_APPEND)->record;
		record->type = RECORD_FENCE;
		record->fence_max = core->fence_reserved;
	}

	append_sessions(&core->dirty_sessions, fx, RECORD_SESSION_PUT);
	append_claims(&core->dirty_claims, fx, RECORD_CLAIM_PUT, core->now);
	append_claims(&core->ended_claims, fx, RECORD_CLAIM_END, core->now);
	append_sessions(&core->ended_sessions, fx, RECORD_SESSION_END);

	append_all(fx, &core->admin_records);
	append_all(fx, &core->out);
	append_all(fx, &core->answers);

	effects_clear(&core->out);
	effects_clear(&core->answers);
	effects_clear(&core->admin_records);

	free_ended(core);
	if (core->ticking)
		principal_sweep(core);
	trim_tables(core);

	fx->work += core->work;
	core->work = 0;
	fx->queue_changed |= core->queue_changed;

	fx->next_wake = timer_next(core);
	core->queue_changed = false;
}

/* Claims that joined the queue in this step get their bound with their place. */
static void promise_new(struct core *core)
{
	if (core->promise_anew)
		wait_bound_promise_all(core);
	else if (core->unpinned)
		wait_bound_promise_on(core, core->unpinned);
	core->promise_anew = false;
	core->unpinned = 0;

	list_each (it, next, &core->dirty_claims) {
		struct claim *claim = container_of(it, struct claim, in_dirty);
		if (claim->rec.state == CLAIM_QUEUED)
			wait_bound_promise(core, claim);
	}
}

/* Who accepted in advance and was given nothing at once waits like any other, and is offered. */
static void settle_accepted(struct core *core)
{
	struct claim *claim = core->accepted;

	core->accepted = NULL;
	if (claim && claim->rec.state == CLAIM_QUEUED)
		emit_standing(core, claim);
}

void core_step(struct core *core, const struct event *event, struct effects *fx)
{
	uint64_t fence_reserved;
	struct session *session;

	PRE((unsigned)event->type < EVENT_TYPE_COUNT);
	PRE((event->from.kind == PARTY_NONE) == (event->from.id == 0));
	PRE(event->now.v >= core->now.v);
	PRE(core->configured || event->type == EVENT_CONFIG);
	PRE(core->started || event->type <= EVENT_START);

	core->now = event->now;
	core->wall = event->wall;
	core->ticking = event->type == EVENT_TICK;

	shares_pass(core);

	session = event->from.kind == PARTY_SESSION ? session_by_conn(core, event->from.id) : NULL;
	if (session)
		session_seen(core, session);

	fence_reserved = core->fence_reserved;
	handlers[event->type](core, event);
	if (!core->started) {
		effects_clear(&core->out);
		return;
	}

	if (event->type == EVENT_START)
		fence_reserved = core->fence_reserved;
	if (core->queue_changed || mono_due(core->wake, core->now))
		schedule_run(core);

	settle_accepted(core);
	promise_new(core);
	queue_sweep(core);
	flush_effects(core, fx, fence_reserved);

	POST(list_empty(&core->dirty_claims));
	POST(list_empty(&core->ended_claims));
}
