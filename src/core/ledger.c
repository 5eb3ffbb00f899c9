/* ledger: charges, sums and room of the GPUs. It grants nothing and asks nobody to leave. Called by
 * claim.c (which alone charges), by fit.c and by those who explain. */
#include "core/ledger.h"

#include <stdlib.h>

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t less_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

bool ledger_total_known(const struct core *core, uint32_t gpu)
{
	return gpu < core->config.gpu_count && core->config.gpus[gpu].vram_known;
}

uint64_t ledger_room(const struct core *core, uint32_t gpu)
{
	return minus(core->config.gpus[gpu].vram_bytes_total, core->config.vram_headroom_bytes);
}

/* What leases without a session, and sessions whose use a probe cannot tell (a browser's GPU
 * process works for all its tabs), declared and were not seen to use by name. */
static uint64_t pool_of(const struct core *core, uint32_t gpu)
{
	return core->gpus[gpu].vram_plain + core->gpus[gpu].vram_unseen;
}

uint64_t ledger_vram_unmanaged(const struct core *core, uint32_t gpu)
{
	PRE(gpu < LIMIT_GPUS);
	return minus(core->gpus[gpu].vram_outside, core->gpus[gpu].vram_seen);
}

uint64_t ledger_vram_free(const struct core *core, uint32_t gpu)
{
	const struct gpu *state = &core->gpus[gpu];
	uint64_t taken;

	PRE(gpu < LIMIT_GPUS);
	if (!ledger_total_known(core, gpu))
		return 0;
	taken = core->config.vram_headroom_bytes + ledger_vram_unmanaged(core, gpu) +
		state->vram_sessions + state->vram_plain;
	return minus(core->config.gpus[gpu].vram_bytes_total, taken);
}

bool ledger_vram_known(const struct core *core, uint32_t gpu)
{
	const struct gpu *state = &core->gpus[gpu];

	PRE(gpu < LIMIT_GPUS);
	return !state->sampled || state->used_known || !ledger_total_known(core, gpu);
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
	return larger(vram->declared + vram_bytes, vram->observed) -
	       larger(vram->declared, vram->observed);
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
	/* What it already uses is not counted twice, but promises alone never pass what there is.
	 */
	return core->gpus[gpu].vram_declared + vram_bytes <= ledger_room(core, gpu) &&
	       ledger_vram_delta(session, gpu, vram_bytes) <= ledger_vram_free(core, gpu);
}

bool ledger_fits(const struct core *core, const struct claim *claim, uint32_t gpu)
{
	return core->gpus[gpu].healthy && ledger_slots_fit(core, gpu, claim->rec.need.slots) &&
	       ledger_vram_fits(core, claim->session, gpu, claim->rec.need.vram_bytes);
}

uint32_t ledger_eligible(const struct core *core, const struct need *need)
{
	uint32_t mask = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		const struct gpu_config *config = &core->config.gpus[gpu];
		if (!(need->gpu_mask & (1u << gpu)))
			continue;
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

	INVARIANT(state->vram_sessions >= larger(vram->declared, vram->observed));
	state->vram_sessions -= larger(vram->declared, vram->observed);
	state->vram_sessions += larger(declared, observed);
	if (unnamed) {
		INVARIANT(state->vram_unseen >= minus(vram->declared, vram->observed));
		state->vram_unseen -= minus(vram->declared, vram->observed);
		state->vram_unseen += minus(declared, observed);
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

/* One that is charged nothing keeps nobody out. */
static void take_seats(struct core *core, struct claim *claim)
{
	uint32_t count = mask_count(claim->rec.granted_mask);

	PRE(claim->seats == NULL);
	if (claim->slots_charged == 0 && claim->vram_charged == 0)
		return;
	claim->seats = calloc(count, sizeof(*claim->seats));
	if (!claim->seats)
		abort();
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		struct seat *seat = &claim->seats[seat_index(claim, gpu)];
		if (!(claim->rec.granted_mask & (1u << gpu)))
			continue;
		seat->claim = claim;
		rank_tree_insert(holders_like(core, claim, gpu), &seat->by_id, 0, claim->rec.id);
	}
}

static void leave_seats(struct core *core, struct claim *claim)
{
	for (uint32_t gpu = 0; claim->seats && gpu < LIMIT_GPUS; gpu++)
		if (claim->rec.granted_mask & (1u << gpu))
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

static void declare(struct core *core, const struct claim *claim, uint32_t gpu, uint64_t add,
		    uint64_t drop)
{
	struct session *session = claim->session;
	uint64_t *plain = &core->gpus[gpu].vram_plain;

	PRE((session ? session->vram[gpu].declared : *plain) + add >= drop);
	if (session)
		session_set(core, session, gpu, session->vram[gpu].declared + add - drop,
			    session->vram[gpu].observed);
	else
		*plain = *plain + add - drop;
}

void ledger_take(struct core *core, struct claim *claim)
{
	const struct need *need = &claim->rec.need;

	PRE(claim->rec.granted_mask != 0);
	PRE(claim->slots_charged == 0);
	PRE(claim->vram_charged == 0);
	claim->slots_charged = claim->host ? 0 : need->slots;
	claim->vram_charged = need->vram_bytes;
	if (claim->host)
		claim->vram_charged -= ledger_vram_inside(claim->host, need);
	ledger_charge(core, claim);
}

void ledger_charge(struct core *core, struct claim *claim)
{
	PRE(claim->rec.granted_mask != 0);
	if (claim->host)
		claim->host->house->vram_lent += claim->rec.need.vram_bytes - claim->vram_charged;
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		struct gpu *state = &core->gpus[gpu];
		if (!(claim->rec.granted_mask & (1u << gpu)))
			continue;
		state->slots_used += claim->slots_charged;
		state->class_slots[claim->rec.cls] += claim->slots_charged;
		state->settled = false;
		state->vram_declared += claim->vram_charged;
		state->takers += claim->vram_charged > 0;
		declare(core, claim, gpu, claim->vram_charged, 0);
	}
	take_seats(core, claim);
}

void ledger_drop(struct core *core, struct claim *claim)
{
	PRE(claim->rec.granted_mask != 0);
	leave_seats(core, claim);
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		struct gpu *state = &core->gpus[gpu];
		if (!(claim->rec.granted_mask & (1u << gpu)))
			continue;
		INVARIANT(state->slots_used >= claim->slots_charged);
		INVARIANT(state->vram_declared >= claim->vram_charged);
		state->slots_used -= claim->slots_charged;
		state->class_slots[claim->rec.cls] -= claim->slots_charged;
		state->settled = false;
		state->vram_declared -= claim->vram_charged;
		if (claim->vram_charged > 0) {
			INVARIANT(state->takers > 0);
			state->takers--;
		}
		declare(core, claim, gpu, 0, claim->vram_charged);
		/* What a tab leaves behind until its browser frees it belongs to nobody. */
		if (state->vram_seen > 0)
			state->vram_seen = less_of(state->vram_seen, pool_of(core, gpu));
	}
	if (claim->host) {
		uint64_t inside = claim->rec.need.vram_bytes - claim->vram_charged;
		INVARIANT(claim->host->house->vram_lent >= inside);
		claim->host->house->vram_lent -= inside;
	}
	claim->slots_charged = 0;
	claim->vram_charged = 0;
}

void ledger_recap(struct core *core, uint32_t gpu_mask)
{
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		struct gpu *state = &core->gpus[gpu];
		const struct gpu_config *config = &core->config.gpus[gpu];
		bool configured = gpu < core->config.gpu_count;
		uint64_t room = ledger_room(core, gpu);
		if (!(gpu_mask & (1u << gpu)))
			continue;
		state->slots_cap = configured && config->slots > state->slots_used
					   ? config->slots
					   : state->slots_used;
		if (!configured)
			room = 0;
		else if (!config->vram_known)
			room = UINT64_MAX;
		state->vram_cap = larger(room, state->vram_declared);
	}
}

static void observe(struct core *core, struct session *session, uint32_t gpu, uint64_t bytes)
{
	session_set(core, session, gpu, session->vram[gpu].declared, bytes);
}

/* Of what no session was seen to use, growth since the last reading is taken to be that of tabs and
 * plain leases, up to what they declared; so their bytes are not counted twice (E2). */
static void judge_outside(struct core *core, uint32_t gpu, uint64_t outside)
{
	struct gpu *state = &core->gpus[gpu];
	uint64_t pool = pool_of(core, gpu);
	uint64_t before = state->sampled ? state->vram_outside : 0;
	uint64_t seen = state->vram_seen + minus(outside, before);

	state->vram_seen = less_of(less_of(seen, pool), outside);
	state->vram_outside = outside;
	POST(state->vram_seen <= state->vram_outside);
}

void ledger_sample(struct core *core, const struct event *event)
{
	uint32_t gpu = event->sample.gpu;
	struct gpu *state = &core->gpus[gpu];
	uint64_t used = less_of(event->sample.vram_bytes_used, VRAM_BYTES_MAX);
	uint64_t known = 0;

	PRE(gpu < core->config.gpu_count);
	state->healthy = event->sample.healthy;
	if (event->sample.used_known) {
		struct rank_node *node = rank_tree_first(&core->sessions);
		for (; node; node = rank_tree_next(node))
			observe(core, session_of_id(node), gpu, 0);
		for (uint32_t i = 0; i < event->sample.observed_count; i++) {
			const struct observed *seen = &event->sample.observed[i];
			struct rank_node *found = rank_tree_from(&core->sessions, 0, seen->session);
			uint64_t bytes = less_of(seen->vram_bytes, VRAM_BYTES_MAX);
			if (!found || found->id != seen->session)
				continue;
			bytes += session_of_id(found)->vram[gpu].observed;
			known += bytes - session_of_id(found)->vram[gpu].observed;
			observe(core, session_of_id(found), gpu, bytes);
		}
		judge_outside(core, gpu, minus(used, known));
		state->vram_used = used;
	}
	state->used_known = event->sample.used_known;
	state->sampled = true;
}

void ledger_recall(struct core *core, struct session *session)
{
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		uint64_t bytes = session->vram[gpu].observed;
		PRE(session->vram[gpu].declared == 0);
		session->vram[gpu].observed = 0;
		observe(core, session, gpu, bytes);
	}
}

void ledger_forget(struct core *core, struct session *session)
{
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		PRE(session->vram[gpu].declared == 0);
		observe(core, session, gpu, 0);
	}
}
