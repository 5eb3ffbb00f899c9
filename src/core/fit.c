/* fit: placing over GPUs. Looks only, changes nothing. Called by the scheduler and by those who
 * explain or check its decisions. */
#include "core/fit.h"

#include "core/ledger.h"
#include "core/order.h"
#include "core/preempt.h"
#include "core/revoke.h"

#define NEVER_MS ((int64_t)1 << 50)

/* A session's own GPU first, for what it has loaded there; then the emptiest; then, for VRAM, where
 * least would be left over. */
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

uint32_t fit_place(const struct core *core, const struct claim *claim, uint32_t open,
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

bool fit_can_leave(const struct claim *claim)
{
	return claim->slots_charged > 0 || claim->rec.evictable ||
	       claim->rec.state == CLAIM_YIELDING || claim->host;
}

bool fit_possible(const struct core *core, const struct claim *claim, uint32_t gpu)
{
	uint64_t staying = 0, taken;
	uint32_t takers = 0;

	if (claim->rec.need.vram_bytes == 0)
		return true;
	if (!ledger_vram_known(core, gpu))
		return false;
	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node)) {
		const struct claim *holder = claim_of_place(node);
		if (!(holder->rec.granted_mask & (1u << gpu)) || fit_can_leave(holder))
			continue;
		staying += holder->vram_charged;
		takers += holder->vram_charged > 0;
	}
	if (!ledger_total_known(core, gpu))
		return takers == 0;
	taken = staying + ledger_vram_unmanaged(core, gpu) + core->config.vram_headroom_bytes;
	return taken <= core->config.gpus[gpu].vram_bytes_total &&
	       claim->rec.need.vram_bytes <= core->config.gpus[gpu].vram_bytes_total - taken;
}

bool fit_near(const struct core *core, const struct claim *claim, uint32_t gpu)
{
	const struct need *need = &claim->rec.need;
	uint32_t slots = need->slots > 0 ? core->gpus[gpu].slots_used : 0;
	uint64_t leaving = 0;
	uint32_t takers = core->gpus[gpu].takers;

	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node)) {
		const struct claim *holder = claim_of_place(node);
		if (!(holder->rec.granted_mask & (1u << gpu)))
			continue;
		if (holder->rec.state != CLAIM_YIELDING &&
		    !mono_due(preempt_evict_when(core, holder), core->now))
			continue;
		slots -= need->slots > 0 ? holder->slots_charged : 0;
		leaving += holder->vram_charged;
		takers -= holder->vram_charged > 0;
	}
	if (slots + need->slots > core->config.gpus[gpu].slots)
		return false;
	if (need->vram_bytes == 0)
		return true;
	if (!ledger_total_known(core, gpu))
		return takers == 0;
	return ledger_vram_known(core, gpu) &&
	       core->gpus[gpu].vram_declared + need->vram_bytes <=
		       ledger_room(core, gpu) + leaving &&
	       ledger_vram_delta(claim->session, gpu, need->vram_bytes) <=
		       ledger_vram_free(core, gpu) + leaving;
}

/* When this holder can be expected to be gone, by what may be asked of it. */
static int64_t leave_ms(const struct core *core, const struct claim *head,
			const struct claim *holder)
{
	enum yield_reason reason;
	struct mono_ms when;
	int64_t wait_ms;

	if (holder->rec.state == CLAIM_YIELDING)
		wait_ms = mono_since(holder->deadline, core->now);
	else {
		when = holder->slots_charged > 0 ? preempt_when(core, head, holder, &reason)
						 : preempt_evict_when(core, holder);
		if (when.v == INT64_MAX)
			return NEVER_MS;
		wait_ms = mono_since(when, core->now);
		wait_ms = (wait_ms > 0 ? wait_ms : 0) + revoke_grace_ms(core, holder);
	}
	return wait_ms > 0 ? wait_ms : 0;
}

/* An estimate, good enough to choose by: the soonest leaver if one is enough, else the last. */
static int64_t wait_ms(const struct core *core, const struct claim *claim, uint32_t gpu)
{
	int64_t soonest = NEVER_MS, last = 0;
	bool slots_fit = ledger_slots_fit(core, gpu, claim->rec.need.slots);
	bool vram_fit = ledger_vram_fits(core, claim->session, gpu, claim->rec.need.vram_bytes);

	if (slots_fit && vram_fit)
		return 0;
	if (!fit_possible(core, claim, gpu))
		return NEVER_MS;
	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node)) {
		const struct claim *holder = claim_of_place(node);
		bool blocks = (!slots_fit && holder->slots_charged > 0) ||
			      (!vram_fit && holder->vram_charged > 0);
		int64_t leave;
		if (!blocks || !(holder->rec.granted_mask & (1u << gpu)))
			continue;
		leave = leave_ms(core, claim, holder);
		soonest = leave < soonest ? leave : soonest;
		last = leave > last && leave < NEVER_MS ? leave : last;
	}
	return vram_fit && claim->rec.need.slots == 1 ? soonest : last;
}

uint32_t fit_choose(const struct core *core, const struct claim *claim, uint32_t open)
{
	int64_t cost[LIMIT_GPUS] = {0};
	uint32_t chosen = 0;

	PRE(open & claim->mask);
	if (mask_count(claim->mask) == claim->rec.need.gpu_count)
		return claim->mask;
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (claim->mask & (1u << gpu))
			cost[gpu] =
				wait_ms(core, claim, gpu) + (open & (1u << gpu) ? 0 : 2 * NEVER_MS);
	for (uint32_t taken = 0; taken < claim->rec.need.gpu_count; taken++) {
		uint32_t best = LIMIT_GPUS;
		for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
			if ((claim->mask & ~chosen & (1u << gpu)) &&
			    (best == LIMIT_GPUS || cost[gpu] < cost[best]))
				best = gpu;
		INVARIANT(best < LIMIT_GPUS);
		chosen |= 1u << best;
	}
	POST(chosen & open);
	return chosen;
}
