/* preempt: choosing whom to ask. The asking itself, and what follows when nobody listens, is in
 * revoke.c. Called by the scheduler for each claim that closes a GPU. */
#include "core/preempt.h"

#include "core/fit.h"
#include "core/ledger.h"
#include "core/order.h"
#include "core/revoke.h"
#include "core/timer.h"

/* What those who leave, or are sure to, will free on one GPU. */
struct leaving {
	uint32_t slots, takers;
	uint64_t vram_bytes;
};

struct claim *preempt_holder_after(const struct core *core, uint64_t id, uint32_t gpu)
{
	struct claim *computes = ledger_holder_after(core, gpu, HOLDER_COMPUTES, id);
	struct claim *keeps = ledger_holder_after(core, gpu, HOLDER_KEEPS, id);

	if (computes && keeps)
		return computes->rec.id < keeps->rec.id ? computes : keeps;
	return computes ? computes : keeps;
}

struct mono_ms preempt_when(const struct core *core, const struct claim *head,
			    const struct claim *holder, enum yield_reason *ret_reason)
{
	const struct core_config *config = &core->config;
	int64_t left_ms = config->classes[holder->rec.cls].hold_ms_max - holder->rec.used_ms;
	struct mono_ms hold_max = mono_after(holder->rec.turn_since, left_ms > 0 ? left_ms : 0);
	struct mono_ms by_key = MONO_NEVER;

	if (holder->rec.state != CLAIM_HELD || holder->slots_charged == 0)
		return MONO_NEVER;
	if (!holder->rec.preemptible)
		by_key = MONO_NEVER;
	else if (head->rec.cls == LEASE_VOICE && holder->rec.cls != LEASE_VOICE)
		by_key = holder->rec.turn_since;
	else if (head->rec.cls < holder->rec.cls && order_before(head, holder))
		by_key = mono_after(holder->rec.turn_since, config->min_run_ms);
	if (holder->ripe_turn)
		by_key = mono_max(by_key, mono_after(holder->rec.turn_since, config->quantum_ms));
	*ret_reason = mono_before(by_key, hold_max) ? YIELD_PREEMPTED : YIELD_HOLD_MAX;
	return mono_min(by_key, hold_max);
}

struct mono_ms preempt_evict_when(const struct core *core, const struct claim *resident)
{
	PRE(core->started);
	if (resident->rec.state != CLAIM_HELD || !resident->rec.evictable ||
	    resident->rec.need.slots > 0)
		return MONO_NEVER;
	if (resident->session && resident->session->computing > 0)
		return MONO_NEVER;
	return mono_after(resident->rec.held_since, resident->rec.min_residence_ms);
}

static void count_leaving(struct leaving *leaving, const struct claim *claim)
{
	leaving->slots += claim->slots_charged;
	leaving->vram_bytes += claim->vram_charged;
	leaving->takers += claim->vram_charged > 0;
}

static uint32_t slots_short(const struct core *core, const struct claim *head, uint32_t gpu,
			    const struct leaving *leaving)
{
	uint32_t need = head->rec.need.slots;
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

static int64_t idle_ms(const struct core *core, const struct claim *resident)
{
	struct mono_ms since = resident->rec.held_since;

	if (resident->session)
		since = mono_max(since, resident->session->compute_ended);
	return mono_since(core->now, since);
}

/* Lowest class first; then the longest unused, weighed by what loading it again costs. */
static bool evict_rather(const struct core *core, const struct claim *a, const struct claim *b)
{
	__extension__ __int128 left, right;

	if (a->rec.cls != b->rec.cls)
		return a->rec.cls > b->rec.cls;
	left = idle_ms(core, a);
	right = idle_ms(core, b);
	left *= b->rec.load_ms > 0 ? b->rec.load_ms : 1;
	right *= a->rec.load_ms > 0 ? a->rec.load_ms : 1;
	return left > right;
}

/* The one to ask next of those whose time has come: of compute turns the one that stands last in
 * the order, or the resident that costs least. Others only set when to look again. */
static struct claim *pick(struct core *core, const struct claim *head, uint32_t gpu, bool residents,
			  bool only_hold_max, enum yield_reason *ret_reason)
{
	struct claim *best = NULL;

	for (struct claim *holder = preempt_holder_after(core, 0, gpu); holder;
	     holder = preempt_holder_after(core, holder->rec.id, gpu)) {
		enum yield_reason reason = YIELD_EVICTED;
		struct mono_ms when = residents ? preempt_evict_when(core, holder)
						: preempt_when(core, head, holder, &reason);
		if (!mono_due(when, core->now)) {
			core->wake = mono_min(core->wake, when);
			continue;
		}
		if (only_hold_max && reason != YIELD_HOLD_MAX)
			continue;
		if (!best ||
		    (residents ? evict_rather(core, holder, best) : order_before(best, holder))) {
			best = holder;
			*ret_reason = reason;
		}
	}
	return best;
}

/* One turn of several is not cut short for a claim that could not begin even then. */
static bool enough_may_go(const struct core *core, const struct claim *head, uint32_t gpu,
			  uint32_t short_slots)
{
	uint32_t slots = 0;

	for (struct claim *holder = preempt_holder_after(core, 0, gpu); holder;
	     holder = preempt_holder_after(core, holder->rec.id, gpu)) {
		enum yield_reason reason;
		if (mono_due(preempt_when(core, head, holder, &reason), core->now))
			slots += holder->slots_charged;
	}
	return slots >= short_slots;
}

static void free_slots(struct core *core, const struct claim *head, uint32_t gpu,
		       struct leaving *leaving)
{
	uint32_t missing = slots_short(core, head, gpu, leaving);
	bool only_hold_max = missing > 0 && !enough_may_go(core, head, gpu, missing);
	enum yield_reason reason;
	struct claim *victim;

	while (slots_short(core, head, gpu, leaving) > 0 &&
	       (victim = pick(core, head, gpu, false, only_hold_max, &reason))) {
		count_leaving(leaving, victim);
		revoke_ask(core, victim, reason, head->rec.id);
	}
}

static void free_vram(struct core *core, const struct claim *head, uint32_t gpu,
		      struct leaving *leaving)
{
	enum yield_reason reason;
	struct claim *victim;

	while (vram_short(core, head, gpu, leaving) &&
	       (victim = pick(core, head, gpu, true, false, &reason))) {
		count_leaving(leaving, victim);
		revoke_ask(core, victim, YIELD_EVICTED, head->rec.id);
	}
	while (vram_short(core, head, gpu, leaving) &&
	       (victim = pick(core, head, gpu, false, false, &reason))) {
		count_leaving(leaving, victim);
		revoke_ask(core, victim, reason, head->rec.id);
	}
}

/* A native holder that answers nothing is stopped once its room is needed. Silence is judged by
 * ticks only, after all that was readable was read. */
static void judge_silence(struct core *core, uint32_t gpu, bool slots, bool vram)
{
	for (struct claim *holder = preempt_holder_after(core, 0, gpu); holder;
	     holder = preempt_holder_after(core, holder->rec.id, gpu)) {
		const struct session *session = holder->session;
		struct mono_ms silent_at;
		if (binding_of(holder->rec.binding)->silence != SILENCE_WANTED ||
		    session->conn == 0 || holder->rec.revoked || holder->rec.state == CLAIM_OFFERED)
			continue;
		if (!(slots && holder->slots_charged > 0) && !(vram && holder->vram_charged > 0))
			continue;
		silent_at = mono_after(session->last_seen, core->config.session_ttl_ms);
		if (mono_due(silent_at, core->now) && core->ticking)
			revoke_begin(core, holder, YIELD_UNRESPONSIVE, END_REVOKED);
		else
			core->wake = mono_min(core->wake, mono_max(silent_at, core->now));
	}
}

void preempt_for(struct core *core, const struct claim *head, uint32_t gpu)
{
	struct leaving leaving = {0};
	uint32_t missing;

	PRE(head->rec.state == CLAIM_QUEUED);
	PRE(!head->no_wait);
	if (!fit_possible(core, head, gpu))
		return;
	judge_silence(core, gpu, !ledger_slots_fit(core, gpu, head->rec.need.slots),
		      !ledger_vram_fits(core, head->session, gpu, head->rec.need.vram_bytes));
	for (struct claim *holder = preempt_holder_after(core, 0, gpu); holder;
	     holder = preempt_holder_after(core, holder->rec.id, gpu))
		if (holder->rec.state == CLAIM_YIELDING)
			count_leaving(&leaving, holder);
	missing = slots_short(core, head, gpu, &leaving);
	free_slots(core, head, gpu, &leaving);
	if (missing > 0 && head->rec.need.slots == core->config.gpus[gpu].slots) {
		/* It needs every turn of this GPU, so all who compute there will be gone. */
		for (struct claim *holder = preempt_holder_after(core, 0, gpu); holder;
		     holder = preempt_holder_after(core, holder->rec.id, gpu))
			if (holder->rec.state != CLAIM_YIELDING && holder->slots_charged > 0)
				count_leaving(&leaving, holder);
	}
	free_vram(core, head, gpu, &leaving);
}
