/* ledger: charges, sums and free capacity of the GPUs. It grants nothing and asks nobody to
 * leave. */
#include "core/ledger.h"

#include <stdlib.h>

#include "base/contracts.h"
#include "base/memory.h"

static uint64_t larger_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t less_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t saturating_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

bool ledger_total_known(const struct core *core, uint32_t gpu)
{
	return gpu < core->config.gpu_count && core->config.gpus[gpu].vram_known;
}

uint64_t ledger_room(const struct core *core, uint32_t gpu)
{
	return core_vram_room(&core->config, gpu);
}

/* What was declared, but cannot be observed per client: leases without a session, and tabs (a
 * browser's GPU process serves all of them). */
uint64_t ledger_pool(const struct core *core, uint32_t gpu)
{
	return core->gpus[gpu].vram_plain + core->gpus[gpu].vram_unseen;
}

uint64_t ledger_vram_unmanaged(const struct core *core, uint32_t gpu)
{
	PRE(gpu < LIMIT_GPUS);
	return saturating_sub(core->gpus[gpu].vram_outside, core->gpus[gpu].vram_seen);
}

uint64_t ledger_vram_free(const struct core *core, uint32_t gpu)
{
	const struct gpu *state = &core->gpus[gpu];
	uint64_t taken;

	PRE(gpu < LIMIT_GPUS);

	if (!ledger_total_known(core, gpu))
		return 0;

	taken = core_vram_kept(&core->config, gpu) + ledger_vram_unmanaged(core, gpu) +
		state->vram_sessions + state->vram_plain;
	return saturating_sub(core->config.gpus[gpu].vram_bytes_total, taken);
}

bool ledger_vram_known(const struct core *core, uint32_t gpu)
{
	const struct gpu *state = &core->gpus[gpu];

	PRE(gpu < LIMIT_GPUS);
	if (!state->sampled || !ledger_total_known(core, gpu))
		return true;
	return state->used_known &&
	       mono_before(core->now, mono_after(state->measured, core->config.sample_ms_max));
}

bool ledger_slots_fit(const struct core *core, uint32_t gpu, uint32_t slots)
{
	PRE(gpu < core->config.gpu_count);
	return slots == 0 || (slots <= core->config.gpus[gpu].slots &&
			      core->gpus[gpu].slots_used <= core->config.gpus[gpu].slots - slots);
}

uint64_t ledger_vram_delta(const struct session *session, uint32_t gpu, uint64_t vram_bytes)
{
	const struct session_vram *vram;

	PRE(vram_bytes <= VRAM_BYTES_MAX);
	if (!session)
		return vram_bytes;
	vram = &session->vram[gpu];
	return larger_of(vram->declared + vram_bytes, vram->observed) -
	       larger_of(vram->declared, vram->observed);
}

bool ledger_vram_fits(const struct core *core, const struct session *session, uint32_t gpu,
		      uint64_t vram_bytes)
{
	PRE(gpu < core->config.gpu_count);
	PRE(vram_bytes <= VRAM_BYTES_MAX);

	if (vram_bytes == 0)
		return true;

	if (!ledger_total_known(core, gpu))
		return core->gpus[gpu].takers == 0;
	if (!ledger_vram_known(core, gpu))
		return false;

	/* What the session already uses is not counted twice, but declarations alone never exceed
	 * the total. */
	return core->gpus[gpu].vram_declared + vram_bytes <= ledger_room(core, gpu) &&
	       ledger_vram_delta(session, gpu, vram_bytes) <= ledger_vram_free(core, gpu);
}

bool ledger_turn_fits(const struct core *core, const struct claim *waiter, uint32_t gpu)
{
	return ledger_slots_fit(core, gpu, need_slots(core, &waiter->rec.need, gpu));
}

bool ledger_fits(const struct core *core, const struct claim *claim, uint32_t gpu)
{
	return core->gpus[gpu].healthy && ledger_turn_fits(core, claim, gpu) &&
	       ledger_vram_fits(core, claim->session, gpu, claim->rec.need.vram_bytes);
}

uint32_t ledger_eligible(const struct core *core, const struct need *need)
{
	uint32_t mask = 0;

	mask_each (gpu, need_named(core, need)) {
		const struct gpu_config *config = &core->config.gpus[gpu];
		if (need->slots > config->slots)
			continue;
		if (config->vram_known && need->vram_bytes > ledger_room(core, gpu))
			continue;
		mask |= 1u << gpu;
	}
	return mask;
}

/* What one session declared and uses on one GPU, and the GPU's sums over all of them. */
static void session_set(struct core *core, struct session *session, uint32_t gpu, uint64_t declared,
			uint64_t observed)
{
	struct session_vram *vram = &session->vram[gpu];
	struct gpu *state = &core->gpus[gpu];
	bool unnamed = !session_has_process(session);

	INVARIANT(state->vram_sessions >= larger_of(vram->declared, vram->observed));
	state->vram_sessions -= larger_of(vram->declared, vram->observed);
	state->vram_sessions += larger_of(declared, observed);

	if (unnamed) {
		INVARIANT(state->vram_unseen >= saturating_sub(vram->declared, vram->observed));
		state->vram_unseen -= saturating_sub(vram->declared, vram->observed);
		state->vram_unseen += saturating_sub(declared, observed);
	}
	vram->declared = declared;
	vram->observed = observed;
}

static uint32_t seat_index(const struct claim *claim, uint32_t gpu)
{
	return mask_count(claim->rec.granted_mask & ((1u << gpu) - 1));
}

struct claim *ledger_holder_after(const struct core *core, uint32_t gpu, enum holder_kind kind,
				  uint64_t id)
{
	struct rank_node *node = rank_tree_from(&core->gpus[gpu].holders[kind], 0, id + 1);

	PRE(gpu < LIMIT_GPUS);
	PRE(kind < HOLDER_KIND_COUNT);
	return node ? container_of(node, struct seat, by_id)->claim : NULL;
}

struct claim *ledger_holder_next(const struct claim *holder, uint32_t gpu)
{
	struct rank_node *node;

	PRE(holder->rec.granted_mask & (1u << gpu));
	PRE(holder->seats != NULL);
	node = rank_tree_next(&holder->seats[seat_index(holder, gpu)].by_id);
	return node ? container_of(node, struct seat, by_id)->claim : NULL;
}

static struct rank_tree *holders_like(struct core *core, const struct claim *claim, uint32_t gpu)
{
	return &core->gpus[gpu].holders[claim->slots_charged > 0 ? HOLDER_COMPUTES : HOLDER_KEEPS];
}

/* A claim that is charged nothing takes no seat. */
static void take_seats(struct core *core, struct claim *claim)
{
	uint32_t count = mask_count(claim->rec.granted_mask);

	PRE(claim->seats == NULL);

	if (claim->slots_charged == 0 && claim->vram_charged == 0)
		return;

	claim->seats = check_memory(malloc(count * sizeof(*claim->seats)));

	mask_each (gpu, claim->rec.granted_mask) {
		struct seat *seat = &claim->seats[seat_index(claim, gpu)];
		*seat = (struct seat){.claim = claim};
		rank_tree_insert(holders_like(core, claim, gpu), &seat->by_id, 0, claim->rec.id);
	}
}

static void leave_seats(struct core *core, struct claim *claim)
{
	if (!claim->seats)
		return;
	mask_each (gpu, claim->rec.granted_mask)
		rank_tree_remove(holders_like(core, claim, gpu),
				 &claim->seats[seat_index(claim, gpu)].by_id);

	free(claim->seats);
	claim->seats = NULL;
}

uint64_t ledger_vram_inside(const struct claim *host, const struct need *need)
{
	uint64_t lent = host->house ? host->house->vram_lent : 0;

	PRE(host->rec.need.vram_bytes >= lent);
	return less_of(need->vram_bytes, host->rec.need.vram_bytes - lent);
}

static void change_declared(struct core *core, const struct claim *claim, uint32_t gpu,
			    uint64_t add, uint64_t drop)
{
	struct session *session = claim->session;
	uint64_t *plain = &core->gpus[gpu].vram_plain;

	PRE((session ? session->vram[gpu].declared : *plain) + add >= drop);

	if (session && drop > 0)
		session->vram[gpu].dropped = core->now;

	if (session)
		session_set(core, session, gpu, session->vram[gpu].declared + add - drop,
			    session->vram[gpu].observed);
	else
		*plain = *plain + add - drop;
}

static void promise_pool(struct core *core, const struct claim *claim)
{
	if (claim->vram_charged == 0 || (claim->session && session_has_process(claim->session)))
		return;
	mask_each (gpu, claim->rec.granted_mask)
		core->gpus[gpu].pool_since = core->now;
}

bool ledger_turn_used(const struct claim *claim)
{
	if (claim_computes(claim))
		return true;
	if (!claim->house)
		return false;

	list_each (it, next, &claim->house->guests)
		if (claim_computes(container_of(it, struct claim, in_nested)))
			return true;
	return false;
}

void ledger_take(struct core *core, struct claim *claim)
{
	const struct need *need = &claim->rec.need;

	PRE(claim->rec.granted_mask != 0);
	PRE(claim->slots_charged == 0);
	PRE(claim->vram_charged == 0);

	if (!claim->host && ledger_turn_used(claim))
		claim->slots_charged = need->slots;

	claim->vram_charged = need->vram_bytes;
	if (claim->host)
		claim->vram_charged -= ledger_vram_inside(claim->host, need);
	promise_pool(core, claim);
	ledger_charge(core, claim);
}

void ledger_charge(struct core *core, struct claim *claim)
{
	PRE(claim->rec.granted_mask != 0);
	core->unsettled |= claim->rec.granted_mask;

	if (claim->host)
		claim->host->house->vram_lent += claim->rec.need.vram_bytes - claim->vram_charged;

	mask_each (gpu, claim->rec.granted_mask) {
		struct gpu *state = &core->gpus[gpu];
		state->slots_used += claim_slots(core, claim, gpu);
		state->class_slots[claim->turn_cls] += claim_slots(core, claim, gpu);
		state->vram_declared += claim->vram_charged;
		state->takers += claim->vram_charged > 0;
		change_declared(core, claim, gpu, claim->vram_charged, 0);
	}
	take_seats(core, claim);
}

uint64_t ledger_vram_left(const struct core *core, uint32_t gpu)
{
	const struct gpu *state = &core->gpus[gpu];

	if (!mono_before(core->now, state->left_until))
		return 0;
	return less_of(state->left_bytes, ledger_vram_unmanaged(core, gpu));
}

void ledger_drop(struct core *core, struct claim *claim)
{
	PRE(claim->rec.granted_mask != 0);
	leave_seats(core, claim);
	core->unsettled |= claim->rec.granted_mask;

	mask_each (gpu, claim->rec.granted_mask) {
		struct gpu *state = &core->gpus[gpu];
		uint32_t slots = claim_slots(core, claim, gpu);
		INVARIANT(state->slots_used >= slots);
		INVARIANT(state->vram_declared >= claim->vram_charged);

		state->slots_used -= slots;
		state->class_slots[claim->turn_cls] -= slots;
		state->vram_declared -= claim->vram_charged;

		if (claim->vram_charged > 0) {
			INVARIANT(state->takers > 0);
			state->takers--;
		}
		change_declared(core, claim, gpu, 0, claim->vram_charged);
	}

	if (claim->host) {
		uint64_t inside = claim->rec.need.vram_bytes - claim->vram_charged;
		INVARIANT(claim->host->house->vram_lent >= inside);
		claim->host->house->vram_lent -= inside;
	}

	claim->slots_charged = 0;
	claim->vram_charged = 0;
}

/* What a tab leaves behind counts as left over until its browser frees it, which takes a moment. */
static void leave_behind(struct core *core, uint32_t gpu)
{
	struct gpu *state = &core->gpus[gpu];
	uint64_t left_bytes = saturating_sub(state->vram_seen, ledger_pool(core, gpu));

	if (left_bytes == 0)
		return;

	state->vram_seen -= left_bytes;
	state->left_bytes += left_bytes;
	state->left_until = mono_after(core->now, core->config.drain_ms_max);
}

void ledger_recap(struct core *core, uint32_t gpu_mask)
{
	mask_each (gpu, gpu_mask) {
		struct gpu *state = &core->gpus[gpu];
		const struct gpu_config *config = &core->config.gpus[gpu];
		bool configured = gpu < core->config.gpu_count;
		uint64_t room = ledger_room(core, gpu);

		state->slots_cap = configured && config->slots > state->slots_used
					   ? config->slots
					   : state->slots_used;

		if (!configured)
			room = 0;
		else if (!config->vram_known)
			room = UINT64_MAX;
		state->vram_cap = larger_of(room, state->vram_declared);
		leave_behind(core, gpu);
	}
}

void ledger_observe(struct core *core, struct session *session, uint32_t gpu, uint64_t bytes)
{
	session_set(core, session, gpu, session->vram[gpu].declared, bytes);
}
