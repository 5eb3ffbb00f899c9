/* claim: the state table and everything that a state implies. It does not decide when to move
 * (schedule.c, revoke.c, the handlers do). */
#include "core/claim.h"

#include <string.h>

#include "base/contracts.h"
#include "base/limits.h"
#include "base/memory.h"
#include "core/all_slots.h"
#include "core/drain.h"
#include "core/emit.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/park.h"
#include "core/queue.h"
#include "core/resident.h"
#include "core/session.h"
#include "core/timer.h"

#define TO(state) (1u << (state))

static const unsigned moves[CLAIM_STATE_COUNT] = {
#define X(from, to) [from] = to,
	CLAIM_MOVES(X)
#undef X
};

static const enum trace_what move_traces[CLAIM_STATE_COUNT] = {
	[CLAIM_QUEUED] = TRACE_QUEUED,   [CLAIM_OFFERED] = TRACE_OFFERED,
	[CLAIM_LOADING] = TRACE_LOADING, [CLAIM_HELD] = TRACE_HELD,
	[CLAIM_YIELDING] = TRACE_YIELD,  [CLAIM_DRAINING] = TRACE_DRAINING,
	[CLAIM_ENDED] = TRACE_ENDED,
};

static void end_turn(struct core *core, struct claim *claim, enum claim_state from)
{
	if (from != CLAIM_OFFERED)
		estimate_hold_ended(core, claim);
	else if (claim->rec.need.slots > 0) /* a turn that was offered is a turn that was used */
		claim->rec.used_ms = claim_turn_ms(core, claim);
	claim->rec.due_turn = false;
	session_gave_turn(core, claim);
}

static void leave_room(struct core *core, struct claim *claim, enum claim_state from)
{
	uint32_t mask = claim->rec.granted_mask;

	PRE(mask != 0);
	if (from != CLAIM_DRAINING)
		end_turn(core, claim, from);

	rank_tree_remove(&core->holders, &claim->place);
	ledger_drop(core, claim);
	host_inherit(core, claim);
	ledger_recap(core, mask);
	host_leave(core, claim);

	session_gave_room(claim);
	resident_runs_no_more(core, claim);
	POST(claim->slots_charged == 0);
}

static void take_room(struct core *core, struct claim *claim)
{
	PRE(claim->rec.granted_mask != 0);
	rank_tree_insert(&core->holders, &claim->place, 0, claim->rec.id);
	if (claim->host)
		host_enter(core, claim);

	all_slots_count(core, claim);
	ledger_take(core, claim);
	session_took_room(claim);
	resident_runs(core, claim);

	if (claim->rec.would_wait)
		ledger_recap(core, claim->rec.granted_mask);
	mask_each (gpu, claim->rec.granted_mask) {
		POST(core->gpus[gpu].slots_used <= core->gpus[gpu].slots_cap);
		POST(core->gpus[gpu].vram_declared <= core->gpus[gpu].vram_cap);
	}
}

void claim_forget_grant(struct claim *claim)
{
	struct claim_record *rec = &claim->rec;

	rec->granted_mask = 0;
	rec->observed = rec->would_wait = false;
	if (claim_parked(claim))
		rec->need.slots = rec->parked_slots;
	if (rec->need.all_slots)
		rec->need.slots = 1;

	rec->parked_slots = 0;
	rec->parked_until = MONO_PAST;
}

/* With whose it is: not everybody who looks is told. */
static void tell_detail(const struct claim *claim, struct trace_effect *trace)
{
	text_copy(trace->detail, sizeof(trace->detail), claim->detail);
	text_copy(trace->principal, sizeof(trace->principal), claim->rec.principal);
}

/* Sets the state and everything that must change with it. The order matters: a claim leaves the
 * queue before it takes capacity, and returns its capacity before it queues again. */
void claim_move(struct core *core, struct claim *claim, enum claim_state to)
{
	enum claim_state from = claim->rec.state;
	struct trace_effect *trace;
	bool kept;

	PRE(to < CLAIM_STATE_COUNT);
	PRE(moves[from] & TO(to));
	PRE(to != CLAIM_ENDED || claim->rec.end != END_NONE);

	if (from == CLAIM_QUEUED)
		queue_remove(core, claim);
	claim->rec.state = to;
	if (from == CLAIM_QUEUED && to == CLAIM_OFFERED) {
		estimate_wait_ended(core, claim);
		take_room(core, claim);
	}

	core->unsettled |= claim->rec.granted_mask;
	list_remove(&claim->in_asked);
	claim->asked = false;
	if (to != CLAIM_YIELDING)
		claim->rec.grace_ms = 0;

	if (to == CLAIM_OFFERED) /* what was offered is used */
		claim->offered_since = claim->rec.turn_since = core->now;
	if (from == CLAIM_OFFERED && (to == CLAIM_HELD || to == CLAIM_LOADING)) {
		claim->rec.held_since = core->now;
		claim->rec.held_wall = core->wall;
		claim->rec.moved = false;
		claim->rec.loading = to == CLAIM_LOADING;
	}
	if (to == CLAIM_LOADING) /* kept when its time is over: for the next tick to judge */
		claim->deadline = mono_max(claim_load_until(core, claim), mono_after(core->now, 1));

	kept = from == CLAIM_YIELDING && (to == CLAIM_HELD || to == CLAIM_LOADING);
	trace = trace_claim(core, claim, kept ? TRACE_KEPT : move_traces[to]);
	trace->from = from;
	if (from != CLAIM_QUEUED) {
		trace->gpus = claim->rec.granted_mask;
		if (from != CLAIM_OFFERED)
			trace->held_ms = mono_since(core->now, claim->rec.held_since);
		if (from != CLAIM_OFFERED && (to == CLAIM_ENDED || to == CLAIM_DRAINING))
			trace->waited_ms = emit_waited_ms(core, claim, true);
	}

	if (claim->detail && (to == CLAIM_ENDED || to == CLAIM_DRAINING))
		tell_detail(claim, trace);

	if (to == CLAIM_DRAINING)
		end_turn(core, claim, from);
	if (from != CLAIM_QUEUED && (to == CLAIM_QUEUED || to == CLAIM_ENDED))
		leave_room(core, claim, from);

	if (to == CLAIM_QUEUED) {
		claim_forget_grant(claim);
		/* A borrower that inherited a turn had its lender's place only for that turn. */
		claim->rec.tag = mono_max(claim->rec.tag, claim->rec.arrival);
		queue_insert(core, claim);
		estimate_wait_began(core, claim);
	}

	timer_arm_claim(core, claim);
	claim_dirty(core, claim);
	core->queue_changed = true;

	POST(claim->rec.state == to);
	POST((claim->group != NULL) == (to == CLAIM_QUEUED));
}

void claim_end(struct core *core, struct claim *claim, enum end_reason end)
{
	PRE(end != END_NONE);
	PRE(!claim->silent);

	if (drain_needed(core, claim)) {
		drain_begin(core, claim, end);
		return;
	}

	claim->rec.end = end;
	claim->rec.ended_wall = core->wall;
	claim_move(core, claim, CLAIM_ENDED);
	host_over(core, claim);
	claim_unindex(core, claim);

	core->stats.ended[end]++;
	list_remove(&claim->in_dirty);
	list_append(&core->ended_claims, &claim->in_dirty);
	if (claim->session)
		session_claim_ended(core, claim->session);
	POST(claim->rec.state == CLAIM_ENDED);
}

void claim_explain(struct claim *claim, const char *detail)
{
	if (!claim->detail && detail && *detail)
		claim->detail = check_memory(strndup(detail, LIMIT_REASON_BYTES));
}

void claim_vanish(struct core *core, struct claim *claim)
{
	PRE(claim->silent);
	PRE(claim->rec.state == CLAIM_QUEUED);

	claim->rec.end = END_DENIED;
	claim_move(core, claim, CLAIM_ENDED);
	claim_unindex(core, claim);
	list_append(&core->ended_claims, &claim->in_dirty);

	if (claim->session)
		session_claim_ended(core, claim->session);
}

void claim_dirty(struct core *core, struct claim *claim)
{
	if (claim->silent || !list_empty(&claim->in_dirty))
		return;
	list_append(&core->dirty_claims, &claim->in_dirty);
}

struct mono_ms claim_load_until(const struct core *core, const struct claim *claim)
{
	int64_t left_ms = core->config.load_ms_max - claim->rec.loaded_ms;

	return mono_after(claim->rec.held_since, left_ms > 0 ? left_ms : 0);
}

void claim_loaded(struct core *core, struct claim *claim)
{
	PRE(claim->rec.loading);

	claim->rec.loading = false;
	claim->rec.loaded_ms += mono_since(core->now, claim->rec.held_since);
	if (claim->rec.preemptible) /* else nobody could end what it loads, and then its hold */
		claim->rec.turn_since = core->now;
	claim_dirty(core, claim);
}

void claim_change_need(struct core *core, struct claim *claim, const struct need *need)
{
	bool computed = claim->rec.need.slots > 0;
	bool computes = need->slots > 0;

	if (claim->session) {
		claim->session->computing += computes;
		claim->session->computing -= computed;
		if (computed && !computes)
			claim->session->compute_ended = core->now;
	}

	ledger_drop(core, claim);
	claim->rec.need.slots = need->slots;
	claim->rec.need.all_slots = need->all_slots;
	claim->rec.need.vram_bytes = need->vram_bytes;
	ledger_take(core, claim);
	ledger_recap(core, claim->rec.granted_mask);

	if (computed != computes) {
		claim->rec.turn_since = core->now;
		claim->rec.used_ms = 0;
		claim->rec.due_turn = false;
		claim->rec.parked_slots = 0;
		claim->rec.parked_until = MONO_PAST;
	}

	claim_dirty(core, claim);
	core->queue_changed = true;
}

bool claim_stoppable(const struct claim *claim)
{
	if (claim->rec.observed && claim->rec.yield_reason != YIELD_OPERATOR)
		return false;
	return claim_proof(claim) == PROOF_EXIT && session_stoppable(claim->session);
}
