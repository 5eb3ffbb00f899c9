/* placement: choosing GPUs. Changes nothing. For the scheduler, and for what explains or checks its
 * decisions. */
#include "core/placement.h"

#include "base/contracts.h"
#include "core/ledger.h"
#include "core/park.h"
#include "core/preempt.h"
#include "core/queue.h"
#include "core/resident.h"
#include "core/schedule.h"
#include "core/shares.h"
#include "core/yield.h"

#define NEVER_MS ((int64_t)1 << 50)

/* A GPU where the session has something loaded first; then the emptiest; then, for VRAM, best
 * fit. */
static bool better_place(const struct core *core, const struct claim *claim, uint32_t a, uint32_t b)
{
	const struct session *session = claim->session;
	uint64_t free_a = ledger_vram_free(core, a), free_b = ledger_vram_free(core, b);
	bool home_a = session && session->vram[a].declared + session->vram[a].observed > 0;
	bool home_b = session && session->vram[b].declared + session->vram[b].observed > 0;

	if (home_a != home_b)
		return home_a;

	if (core->gpus[a].slots_used != core->gpus[b].slots_used)
		return core->gpus[a].slots_used < core->gpus[b].slots_used;

	if (claim->rec.need.vram_bytes > 0 && free_a != free_b)
		return free_a < free_b;
	return a < b;
}

uint32_t placement_find(const struct core *core, const struct claim *claim, uint32_t open,
			uint32_t prefer)
{
	uint32_t placed = 0;

	open &= claim->mask;

	for (uint32_t taken = 0; taken < claim->rec.need.gpu_count; taken++) {
		uint32_t best = LIMIT_GPUS;
		for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
			if (!(open & ~placed & (1u << gpu)) || !ledger_fits(core, claim, gpu))
				continue;
			bool wanted = prefer & (1u << gpu);
			bool best_wanted = best < LIMIT_GPUS && (prefer & (1u << best));
			if (best == LIMIT_GPUS || (wanted && !best_wanted) ||
			    (wanted == best_wanted && better_place(core, claim, gpu, best)))
				best = gpu;
		}
		if (best == LIMIT_GPUS)
			return 0;
		placed |= 1u << best;
	}

	POST(placed != 0);
	return placed;
}

bool placement_can_leave(const struct claim *claim)
{
	if (claim->rec.observed && !claim_leaves(claim))
		return false;
	return claim->slots_charged > 0 || claim->rec.evictable || claim_parked(claim) ||
	       claim_leaves(claim) || claim->host;
}

/* What the session uses there beyond what it declared, if none of it can leave, by a reading taken
 * after it last gave something back; attributed to one of its claims. */
static uint64_t undeclared_bytes(const struct core *core, const struct claim *claim, uint32_t gpu)
{
	const struct session *session = claim->session;
	const struct session_vram *vram = session ? &session->vram[gpu] : NULL;
	bool first = true;

	if (!vram || vram->observed <= vram->declared ||
	    !mono_before(vram->dropped, core->gpus[gpu].measured))
		return 0;

	list_each (it, next, &session->claims) {
		const struct claim *other = container_of(it, struct claim, in_session);
		if (other->vram_charged == 0 || !(other->rec.granted_mask & (1u << gpu)))
			continue;
		if (placement_can_leave(other) || (first && other != claim))
			return 0;
		first = false;
	}

	return vram->observed - vram->declared;
}

/* What cannot be reclaimed, summed once after each change of holders. */
static void settle_gpu(struct core *core, uint32_t gpu)
{
	struct gpu *state = &core->gpus[gpu];

	state->pinned_bytes = 0;
	state->pinned_slots = 0;
	for (int kind = 0; kind < HOLDER_KIND_COUNT; kind++)
		gpu_holders (holder, core, gpu, (enum holder_kind)kind) {
			if (placement_can_leave(holder))
				continue;
			state->pinned_slots += claim_slots(core, holder, gpu);
			state->pinned_bytes +=
				holder->vram_charged + undeclared_bytes(core, holder, gpu);
		}
}

bool placement_settle(struct core *core)
{
	uint32_t gpus = core->unsettled & ((1u << core->config.gpu_count) - 1);
	bool changed = false;

	core->unsettled &= ~gpus;
	mask_each (gpu, gpus) {
		uint64_t before_bytes = core->gpus[gpu].pinned_bytes;
		uint32_t before_slots = core->gpus[gpu].pinned_slots;
		settle_gpu(core, gpu);
		changed |= core->gpus[gpu].pinned_bytes != before_bytes ||
			   core->gpus[gpu].pinned_slots != before_slots;
		if (before_slots > 0 && core->gpus[gpu].pinned_slots == 0)
			core->unpinned |= 1u << gpu;
	}
	return changed;
}

bool placement_possible(const struct core *core, const struct session *session,
			const struct need *need, uint32_t gpu)
{
	const struct gpu *state = &core->gpus[gpu];
	uint64_t total = core->config.gpus[gpu].vram_bytes_total, taken;

	if (need->slots > 0 && state->pinned_slots > 0 &&
	    state->pinned_slots + need_slots(core, need, gpu) > core->config.gpus[gpu].slots)
		return false;
	if (need->vram_bytes == 0)
		return true;

	if (!ledger_vram_known(core, gpu))
		return false;
	if (ledger_vram_fits(core, session, gpu, need->vram_bytes))
		return true;

	if (!ledger_total_known(core, gpu))
		return state->pinned_bytes == 0;

	taken = state->pinned_bytes + ledger_vram_unmanaged(core, gpu) -
		ledger_vram_left(core, gpu) + core_vram_kept(&core->config, gpu);
	return taken <= total && need->vram_bytes <= total - taken;
}

uint32_t placement_possible_gpus(const struct core *core, const struct session *session,
				 const struct need *need, uint32_t mask)
{
	uint32_t possible = mask & schedule_open(core, need->vram_bytes > 0);

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if ((possible & (1u << gpu)) && !placement_possible(core, session, need, gpu))
			possible &= ~(1u << gpu);
	return mask_count(possible) >= need->gpu_count ? possible : 0;
}

/* Who waits, where, and the GPUs where its class is due. */
struct waiter {
	const struct core *core;
	const struct claim *claim;
	uint32_t due;
};

static struct mono_ms ask_when(const struct waiter *w, const struct claim *holder, uint32_t gpu)
{
	enum yield_reason reason;

	if (holder->slots_charged == 0)
		return resident_leaves_at(w->core, w->claim, holder);
	return preempt_when_due(w->core, w->claim, holder, gpu, w->due & (1u << gpu), &reason);
}

/* Until this holder is gone and its room is free, given what may be asked of it. */
static int64_t leave_ms(const struct waiter *w, const struct claim *holder, uint32_t gpu)
{
	bool revoked = holder->rec.revoked || holder->rec.state == CLAIM_DRAINING;
	int64_t free_ms = revoked ? 0 : share_free_ms(w->core, holder);
	struct mono_ms when;

	if (claim_leaves(holder))
		return ms_longer(0, mono_since(holder->deadline, w->core->now)) + free_ms;

	when = ask_when(w, holder, gpu);
	if (when.v == INT64_MAX)
		return NEVER_MS;
	return ms_longer(0, mono_since(when, w->core->now)) + yield_grace_ms(w->core, holder) +
	       free_ms;
}

/* For a turn of one slot one holder has to go: of those that go already the first, else the one
 * that preempt.c asks: whose time comes first, and of several the last in the order. */
static int64_t turn_ms(const struct waiter *w, uint32_t gpu)
{
	const struct claim *asked = NULL;
	struct mono_ms asked_at = MONO_NEVER;
	int64_t gone_ms = NEVER_MS;

	gpu_holders (holder, w->core, gpu, HOLDER_COMPUTES) {
		struct mono_ms at;
		if (claim_leaves(holder)) {
			gone_ms = ms_shorter(gone_ms, leave_ms(w, holder, gpu));
			continue;
		}
		at = mono_max(ask_when(w, holder, gpu), w->core->now);
		if (!mono_before(asked_at, at) &&
		    (!asked || mono_before(at, asked_at) || queue_before(asked, holder))) {
			asked = holder;
			asked_at = at;
		}
	}

	if (gone_ms < NEVER_MS || !asked)
		return gone_ms;
	return leave_ms(w, asked, gpu);
}

static int64_t last_ms(const struct waiter *w, uint32_t gpu, enum holder_kind kind, bool vram_only)
{
	int64_t last = 0;

	gpu_holders (holder, w->core, gpu, kind) {
		int64_t leave = leave_ms(w, holder, gpu);
		if ((!vram_only || holder->vram_charged > 0) && leave < NEVER_MS)
			last = ms_longer(last, leave);
	}
	return last;
}

/* An estimate, good enough to choose by. */
static int64_t wait_ms(const struct waiter *w, uint32_t gpu)
{
	const struct core *core = w->core;
	const struct need *need = &w->claim->rec.need;
	bool slots_fit = ledger_turn_fits(core, w->claim, gpu);
	bool vram_fit = ledger_vram_fits(core, w->claim->session, gpu, need->vram_bytes);
	int64_t last;

	if (slots_fit && vram_fit)
		return 0;

	if (!placement_possible(core, w->claim->session, need, gpu))
		return NEVER_MS;
	if (vram_fit && need_slots(core, need, gpu) == 1)
		return turn_ms(w, gpu);

	last = last_ms(w, gpu, HOLDER_COMPUTES, slots_fit);
	return vram_fit ? last : ms_longer(last, last_ms(w, gpu, HOLDER_KEEPS, true));
}

static bool anyone_leaves(const struct core *core, uint32_t gpu)
{
	for (int kind = 0; kind < HOLDER_KIND_COUNT; kind++)
		gpu_holders (holder, core, gpu, (enum holder_kind)kind)
			if (claim_leaves(holder))
				return true;
	return false;
}

/* A head does not ask a second holder while one is already leaving for it. */
static int64_t cost_ms(const struct waiter *w, uint32_t gpu, uint32_t open)
{
	int64_t cost = wait_ms(w, gpu);

	if (!(open & (1u << gpu)))
		cost += 4 * NEVER_MS;
	if ((w->claim->asked_mask & (1u << gpu)) && anyone_leaves(w->core, gpu))
		cost -= NEVER_MS;
	return cost;
}

uint32_t placement_choose(const struct core *core, const struct claim *claim, uint32_t open,
			  uint32_t due)
{
	const struct waiter waiter = {core, claim, due};
	uint32_t within = claim->group->possible;
	int64_t cost[LIMIT_GPUS] = {0};
	uint32_t chosen = 0;

	PRE(open & within);

	if (mask_count(within) == claim->rec.need.gpu_count)
		return within;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (within & (1u << gpu))
			cost[gpu] = cost_ms(&waiter, gpu, open);

	for (uint32_t taken = 0; taken < claim->rec.need.gpu_count; taken++) {
		uint32_t best = LIMIT_GPUS;
		for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
			if ((within & ~chosen & (1u << gpu)) &&
			    (best == LIMIT_GPUS || cost[gpu] < cost[best]))
				best = gpu;

		INVARIANT(best < LIMIT_GPUS);
		chosen |= 1u << best;
	}

	POST(chosen & open);
	return chosen;
}
