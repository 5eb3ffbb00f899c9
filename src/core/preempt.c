/* preempt: choosing whom to ask. The asking itself, and what follows when nobody listens, is in
 * revoke.c. Run by the scheduler for each claim that keeps a GPU. */
#include "core/preempt.h"

#include "base/contracts.h"
#include "core/claim.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/observe.h"
#include "core/placement.h"
#include "core/queue.h"
#include "core/resident.h"
#include "core/revoke.h"
#include "core/session.h"
#include "core/shares.h"
#include "core/yield.h"

/* What leavers, and those certain to leave, will free on one GPU. */
struct leaving {
	uint32_t slots, takers;
	uint64_t vram_bytes;
};

/* To others its turn began with the offer, however long it loaded. */
static struct mono_ms turn_began(const struct claim *holder)
{
	return holder->rec.loads ? holder->offered_since : holder->rec.turn_since;
}

/* For a class that is due, voice within its credit, a higher class that came first; not its own. */
static struct mono_ms by_order(const struct core *core, const struct claim *head,
			       const struct claim *holder, uint32_t gpu, bool due)
{
	struct mono_ms since = turn_began(holder);
	struct mono_ms when = MONO_NEVER;

	if (!holder->rec.preemptible || head->rec.cls == holder->turn_cls)
		return MONO_NEVER;

	if (head->rec.cls == LEASE_VOICE && share_urgent(core, gpu))
		when = since;
	else if (due || (head->rec.cls < holder->turn_cls && queue_before(head, holder)))
		when = mono_after(since, core->config.min_run_ms);
	return mono_max(when, share_protected_until(core, holder));
}

struct mono_ms preempt_hold_until(const struct core *core, const struct claim *holder,
				  int64_t early_ms)
{
	int64_t most_ms = core->config.classes[holder->turn_cls].hold_ms_max;
	int64_t left_ms = most_ms - holder->rec.used_ms - early_ms;

	PRE(claim_has_room(holder));
	if (holder->rec.loading && holder->rec.preemptible)
		return MONO_NEVER; /* load_ms_max ends it */
	return mono_after(holder->rec.turn_since, left_ms > 0 ? left_ms : 0);
}

static struct mono_ms turn_when(const struct core *core, const struct claim *head,
				const struct claim *holder, uint32_t gpu, bool due,
				enum yield_reason *ret_reason)
{
	struct mono_ms hold_max = preempt_hold_until(core, holder, share_early_ms(core, holder));
	struct mono_ms when = by_order(core, head, holder, gpu, due);

	*ret_reason = mono_before(when, hold_max) ? YIELD_PREEMPTED : YIELD_HOLD_MAX;
	return mono_min(when, hold_max);
}

static bool is_due_head(const struct core *core, const struct claim *head, uint32_t gpu)
{
	return core->gpus[gpu].turn_head == head->rec.id && core->gpus[gpu].head_due;
}

struct mono_ms preempt_when(const struct core *core, const struct claim *head,
			    const struct claim *holder, uint32_t gpu, enum yield_reason *ret_reason)
{
	return preempt_when_due(core, head, holder, gpu, is_due_head(core, head, gpu), ret_reason);
}

struct mono_ms preempt_when_due(const struct core *core, const struct claim *head,
				const struct claim *holder, uint32_t gpu, bool due,
				enum yield_reason *ret_reason)
{
	PRE(gpu < core->config.gpu_count);
	if (!claim_is_held(holder) || holder->slots_charged == 0 || observe_stays(core, holder))
		return MONO_NEVER;
	return turn_when(core, head, holder, gpu, due, ret_reason);
}

struct mono_ms preempt_limit(const struct core *core, const struct claim *head,
			     const struct claim *holder, uint32_t gpu)
{
	const struct mono_ms *due_at = core->gpus[gpu].due_at;
	struct mono_ms others = MONO_NEVER;
	enum yield_reason reason;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		if (cls != (int)holder->turn_cls)
			others = mono_min(others, due_at[cls]);

	if (!claim_is_held(holder) || !holder->rec.preemptible || observe_stays(core, holder))
		others = MONO_NEVER;
	others = mono_max(others, mono_after(turn_began(holder), core->config.min_run_ms));
	others = mono_max(others, share_protected_until(core, holder));
	return mono_min(others, preempt_when(core, head, holder, gpu, &reason));
}

static void count_leaving(const struct core *core, struct leaving *leaving,
			  const struct claim *claim, uint32_t gpu)
{
	leaving->slots += claim_slots(core, claim, gpu);
	leaving->vram_bytes += claim->vram_charged;
	leaving->takers += claim->vram_charged > 0;
}

static uint32_t slots_short(const struct core *core, const struct claim *head, uint32_t gpu,
			    const struct leaving *leaving)
{
	uint32_t need = need_slots(core, &head->rec.need, gpu);
	uint32_t used = core->gpus[gpu].slots_used;

	INVARIANT(used >= leaving->slots);
	if (need == 0)
		return 0;

	used = used - leaving->slots + need;
	return used > core->config.gpus[gpu].slots ? used - core->config.gpus[gpu].slots : 0;
}

static bool vram_short(const struct core *core, const struct claim *head, uint32_t gpu,
		       const struct leaving *leaving)
{
	uint64_t need = head->rec.need.vram_bytes;

	if (need == 0)
		return false;
	if (!ledger_total_known(core, gpu))
		return core->gpus[gpu].takers > leaving->takers;
	return ledger_vram_delta(head->session, gpu, need) >
		       ledger_vram_free(core, gpu) + leaving->vram_bytes ||
	       core->gpus[gpu].vram_declared + need > ledger_room(core, gpu) + leaving->vram_bytes;
}

/* The one to ask next of those whose time has come: of compute turns the one that stands last in
 * the order, or the resident that costs least. Others only set when to look again. */
enum among { AMONG_ALL, AMONG_OVERDUE, AMONG_MEMORY };

static struct claim *pick_victim(struct core *core, const struct claim *head, uint32_t gpu,
				 enum holder_kind kind, enum among among,
				 enum yield_reason *ret_reason)
{
	bool residents = kind == HOLDER_KEEPS;
	struct claim *best = NULL;

	gpu_holders (holder, core, gpu, kind) {
		enum yield_reason reason = YIELD_EVICTED;
		struct mono_ms when = residents ? resident_leaves_at(core, head, holder)
						: preempt_when(core, head, holder, gpu, &reason);
		if (!mono_due(when, core->now)) {
			core->wake = mono_min(core->wake, when);
			continue;
		}
		if ((among == AMONG_OVERDUE && reason != YIELD_HOLD_MAX) ||
		    (among == AMONG_MEMORY && holder->vram_charged == 0))
			continue;
		if (!best || (residents ? resident_goes_before(core, holder, best)
					: queue_before(best, holder))) {
			best = holder;
			*ret_reason = reason;
		}
	}
	return best;
}

/* A claim for one GPU stays with the GPU where a holder leaves for it. */
static void note_asked(struct claim *head, uint32_t gpu)
{
	if (head->rec.need.gpu_count == 1)
		head->asked_mask = 0;
	head->asked_mask |= 1u << gpu;
}

/* By rising id: the order of notification must not depend on the order of asking. */
static void insert_asked(struct core *core, struct claim *holder)
{
	holder->asked = true;
	list_each (it, next, &core->asked) {
		if (container_of(it, struct claim, in_asked)->rec.id < holder->rec.id)
			continue;
		list_append(it, &holder->in_asked);
		return;
	}
	list_append(&core->asked, &holder->in_asked);
}

/* And all that run inside it. */
static void insert_all_asked(struct core *core, struct claim *holder)
{
	for (struct claim *in = holder; in; in = host_next_inside(holder, in))
		if (in->rec.state == CLAIM_YIELDING && !in->asked)
			insert_asked(core, in);
}

static void ask_holder(struct core *core, struct claim *head, uint32_t gpu, struct claim *holder,
		       enum yield_reason reason, struct leaving *leaving)
{
	count_leaving(core, leaving, holder, gpu);
	note_asked(head, gpu);
	holder->wanted_walk = core->walks;

	yield_ask(core, holder, reason, head->rec.id);
	insert_all_asked(core, holder);
}

/* No turn is cut short for a claim that still could not start afterwards. */
static bool enough_may_go(const struct core *core, const struct claim *head, uint32_t gpu,
			  uint32_t short_slots)
{
	uint32_t slots = 0;

	gpu_holders (holder, core, gpu, HOLDER_COMPUTES) {
		enum yield_reason reason;
		if (mono_due(preempt_when(core, head, holder, gpu, &reason), core->now))
			slots += claim_slots(core, holder, gpu);
	}
	return slots >= short_slots;
}

static void free_slots(struct core *core, struct claim *head, uint32_t gpu, struct leaving *leaving)
{
	uint32_t missing = slots_short(core, head, gpu, leaving);
	enum among among = enough_may_go(core, head, gpu, missing) ? AMONG_ALL : AMONG_OVERDUE;
	enum yield_reason reason;
	struct claim *victim;

	while (slots_short(core, head, gpu, leaving) > 0 &&
	       (victim = pick_victim(core, head, gpu, HOLDER_COMPUTES, among, &reason)))
		ask_holder(core, head, gpu, victim, reason, leaving);
}

static void free_vram(struct core *core, struct claim *head, uint32_t gpu, struct leaving *leaving)
{
	enum yield_reason reason;
	struct claim *victim;

	leaving->vram_bytes += ledger_vram_left(core, gpu);

	while (vram_short(core, head, gpu, leaving) &&
	       (victim = pick_victim(core, head, gpu, HOLDER_KEEPS, AMONG_MEMORY, &reason)))
		ask_holder(core, head, gpu, victim, YIELD_EVICTED, leaving);

	while (vram_short(core, head, gpu, leaving) &&
	       (victim = pick_victim(core, head, gpu, HOLDER_COMPUTES, AMONG_MEMORY, &reason)))
		ask_holder(core, head, gpu, victim, reason, leaving);
}

/* A silent native holder is stopped once its capacity is needed; only ticks check for that. */
static void judge_silence(struct core *core, struct claim *holder)
{
	const struct session *session = holder->session;
	struct mono_ms silent_at;

	if (binding_of(holder->rec.binding)->silence != SILENCE_WANTED || session->conn == 0 ||
	    holder->rec.revoked || holder->rec.state == CLAIM_OFFERED ||
	    observe_stays(core, holder))
		return;

	silent_at = mono_after(session->last_seen, session_ttl_ms(core, session));
	if (mono_due(silent_at, core->now) && core->ticking)
		revoke_begin(core, holder, YIELD_UNRESPONSIVE, END_REVOKED);
	else
		core->wake = mono_min(core->wake, mono_max(silent_at, core->now));
}

/* The holder was asked on behalf of another claim, which may have left or waits elsewhere: then
 * this head must be entitled to it as well. */
static bool goes_for(struct core *core, const struct claim *head, struct claim *holder,
		     uint32_t gpu)
{
	bool computes = holder->slots_charged > 0;
	struct mono_ms when;
	enum yield_reason reason = holder->rec.yield_reason;

	if (holder->rec.revoked || !claim_asked_for_one(holder))
		return true;
	if (holder->yield_for != 0 && (holder->yield_for == core->gpus[gpu].turn_head ||
				       holder->yield_for == core->gpus[gpu].memory_head))
		return true;

	when = computes ? turn_when(core, head, holder, gpu, is_due_head(core, head, gpu), &reason)
			: resident_goes_at(core, head, holder);
	if (!mono_due(when, core->now)) {
		core->wake = mono_min(core->wake, when);
		return false;
	}

	if (reason != holder->rec.yield_reason) {
		holder->rec.yield_reason = reason;
		claim_dirty(core, holder);
	}

	yield_pass(core, holder, head->rec.id);
	insert_all_asked(core, holder); /* who was asked before a restart was not there */
	return true;
}

/* Holders that are leaving already count for this head, if they have what it lacks. */
static void count_goers(struct core *core, struct claim *head, uint32_t gpu, enum holder_kind kind,
			bool memory_only, struct leaving *leaving)
{
	gpu_holders (holder, core, gpu, kind) {
		if (memory_only && holder->vram_charged == 0)
			continue;
		judge_silence(core, holder);
		if (!claim_leaves(holder) ||
		    (holder->rec.state == CLAIM_YIELDING && !goes_for(core, head, holder, gpu)))
			continue;

		count_leaving(core, leaving, holder, gpu);
		holder->wanted_walk = core->walks;
		note_asked(head, gpu);
	}
}

/* It needs every slot of this GPU, so everything that computes there will be gone. */
static void count_computing(const struct core *core, uint32_t gpu, struct leaving *leaving)
{
	gpu_holders (holder, core, gpu, HOLDER_COMPUTES)
		if (!claim_leaves(holder))
			count_leaving(core, leaving, holder, gpu);
}

static void free_room(struct core *core, struct claim *head, uint32_t gpu)
{
	const struct need *need = &head->rec.need;
	const struct gpu *state = &core->gpus[gpu];
	bool turns = state->turn_head == head->rec.id && !ledger_turn_fits(core, head, gpu);
	bool memory = state->memory_head == head->rec.id &&
		      !ledger_vram_fits(core, head->session, gpu, need->vram_bytes);
	struct leaving leaving = {0};
	bool all_turns;

	PRE(head->rec.state == CLAIM_QUEUED);
	if (!placement_possible(core, head->session, need, gpu))
		return;

	if (turns || memory)
		count_goers(core, head, gpu, HOLDER_COMPUTES, !turns, &leaving);
	if (memory)
		count_goers(core, head, gpu, HOLDER_KEEPS, true, &leaving);

	all_turns = turns && slots_short(core, head, gpu, &leaving) > 0 &&
		    need_slots(core, need, gpu) == core->config.gpus[gpu].slots;
	if (turns)
		free_slots(core, head, gpu, &leaving);
	if (all_turns)
		count_computing(core, gpu, &leaving);
	if (memory)
		free_vram(core, head, gpu, &leaving);
}

/* A holder asked for a claim that no longer waits, and wanted by no other; NULL: none. Guests
 * follow their host. */
static struct claim *next_unwanted(const struct core *core)
{
	list_each (it, next, &core->asked) {
		struct claim *holder = container_of(it, struct claim, in_asked);
		if (!holder->host && holder->wanted_walk != core->walks && !holder->rec.revoked &&
		    claim_asked_for_one(holder))
			return holder;
	}
	return NULL;
}

void preempt_heads(struct core *core)
{
	struct claim *unwanted;

	core->walks++;
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		struct claim *turn = claim_by_id(core, core->gpus[gpu].turn_head);
		struct claim *memory = claim_by_id(core, core->gpus[gpu].memory_head);

		if (turn && !turn->no_wait)
			free_room(core, turn, gpu);
		if (memory && memory != turn && !memory->no_wait)
			free_room(core, memory, gpu);
	}

	while ((unwanted = next_unwanted(core)))
		yield_withdraw(core, unwanted);
}
