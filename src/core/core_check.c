/* core_check: the invariants I1 to I7 over the whole state, recomputed from the claims and compared
 * with what the core keeps. O(n) or worse; tests and the simulator call it after each step. */
#include "base/contracts.h"
#include "core/claim.h"
#include "core/core.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/observe.h"
#include "core/park.h"
#include "core/placement.h"
#include "core/principal.h"
#include "core/queue.h"
#include "core/resident.h"
#include "core/schedule.h"

static void check_ledger(const struct core *core)
{
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		uint64_t vram = 0, plain = 0;
		uint32_t slots = 0, takers = 0, computing = 0, keeping = 0;

		for (struct rank_node *node = rank_tree_first(&core->holders); node;
		     node = rank_tree_next(node)) {
			const struct claim *claim = claim_of_place(node);
			if (!(claim->rec.granted_mask & (1u << gpu)))
				continue;
			slots += claim_slots(core, claim, gpu);
			vram += claim->vram_charged;
			plain += claim->session ? 0 : claim->vram_charged;
			takers += claim->vram_charged > 0;
			computing += claim->slots_charged > 0;
			keeping += claim->slots_charged == 0 && claim->vram_charged > 0;
		}

		gpu_holders (holder, core, gpu, HOLDER_COMPUTES)
			computing -= holder->slots_charged > 0;
		gpu_holders (holder, core, gpu, HOLDER_KEEPS)
			keeping -= holder->slots_charged == 0;
		INVARIANT(computing == 0 && keeping == 0);

		INVARIANT(slots == core->gpus[gpu].slots_used);
		INVARIANT(vram == core->gpus[gpu].vram_declared);
		INVARIANT(plain == core->gpus[gpu].vram_plain);
		INVARIANT(takers == core->gpus[gpu].takers);

		/* I1 */
		INVARIANT(slots <= core->gpus[gpu].slots_cap);
		INVARIANT(vram <= core->gpus[gpu].vram_cap);
	}
}

static void check_session_vram(const struct core *core)
{
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		uint64_t sum = 0, unseen = 0;
		for (struct rank_node *node = rank_tree_first(&core->sessions); node;
		     node = rank_tree_next(node)) {
			const struct session_vram *vram = &session_of_id(node)->vram[gpu];
			sum += vram->declared > vram->observed ? vram->declared : vram->observed;
			if (!session_has_process(session_of_id(node)) &&
			    vram->declared > vram->observed)
				unseen += vram->declared - vram->observed;
		}
		INVARIANT(sum == core->gpus[gpu].vram_sessions);
		INVARIANT(unseen == core->gpus[gpu].vram_unseen);
	}
}

static void check_inside(const struct claim *claim)
{
	const struct claim *host = claim->host;
	uint64_t inside_bytes = 0;
	uint32_t count = 0;

	if (host) {
		INVARIANT(claim_has_room(host));
		INVARIANT(claim->rec.lender ? claim->rec.lender == host->rec.id
					    : claim->rec.host == host->rec.id);
		INVARIANT(claim->slots_charged == 0);
		INVARIANT((claim->rec.granted_mask & ~host->rec.granted_mask) == 0);
	}

	if (!claim->house)
		return;

	list_each (it, next, &claim->house->guests) {
		const struct claim *guest = container_of(it, struct claim, in_nested);
		INVARIANT(guest->host == claim);
		inside_bytes += guest->rec.need.vram_bytes - guest->vram_charged;
		count++;
	}

	INVARIANT(count == claim->house->count);
	INVARIANT(count <= (claim->rec.guests > 0 ? claim->rec.guests : 1u));
	INVARIANT(inside_bytes == claim->house->vram_lent);
	INVARIANT(inside_bytes <= claim->rec.need.vram_bytes);
}

static void check_holder(const struct core *core, const struct claim *claim)
{
	INVARIANT(claim_has_room(claim));
	INVARIANT(claim->group == NULL);
	INVARIANT((claim->rec.end == END_NONE) == (claim->rec.state != CLAIM_DRAINING));
	INVARIANT(claim->rec.granted_mask != 0);
	INVARIANT(claim->slots_charged == 0 || claim->slots_charged == claim->rec.need.slots);

	/* I2 */
	INVARIANT(claim->rec.fence != 0);
	INVARIANT(claim->rec.fence < core->fence_next);
	INVARIANT(claim->rec.fence <= core->fence_reserved);

	check_inside(claim);

	INVARIANT(claim->rec.observed || !claim->rec.would_wait);
	/* Nobody but an operator asked it. */
	if (core->config.observe && schedule_may_grant(core) && !claim->host)
		INVARIANT(claim->rec.state != CLAIM_YIELDING || claim->rec.revoked ||
			  !claim_asked_for_one(claim));

	/* I3: a live binding, or a running deadline that ends it */
	if (claim_is_held(claim) && claim->session) {
		bool bound = claim->session->conn != 0 || heap_has(&claim->session->timer);
		INVARIANT(bound);
	}
	if (claim->rec.state == CLAIM_HELD && claim_proof(claim) == PROOF_TIME)
		INVARIANT(heap_has(&claim->timer));
	if (claim_is_held(claim) && claim_proof(claim) == PROOF_CUT)
		INVARIANT(claim->conn != 0);

	if (claim->rec.state == CLAIM_YIELDING || claim->rec.state == CLAIM_LOADING)
		INVARIANT(heap_has(&claim->timer));
	if (claim->rec.state == CLAIM_DRAINING)
		INVARIANT(heap_has(&claim->timer) || claim_guests(claim) > 0);

	/* I6 */
	if (claim->rec.state == CLAIM_OFFERED) {
		INVARIANT(heap_has(&claim->timer));
		INVARIANT(claim->session != NULL);
	}
}

/* I5 for guests: no place is free, or others come first, or memory beyond the host's is short. */
static void check_guest_waits(const struct core *core, const struct claim *claim)
{
	const struct claim *host = claim->host;
	uint64_t inside_bytes = ledger_vram_inside(host, &claim->rec.need);

	if (claim_guests(host) >= host->rec.guests || claim->rec.need.vram_bytes > inside_bytes)
		return;

	for (const struct rank_node *node = rank_tree_first(&claim->group->turns);
	     node != &claim->turn; node = rank_tree_next(node))
		if (!queue_detached(claim_of_turn((struct rank_node *)node)))
			return;

	INVARIANT(host_gpus(core, host, claim) == 0);
}

/* A resource of this GPU that it asks for is kept for somebody else, or the memory of the lease
 * whose turn it is may be wanted. */
static bool kept_from(const struct core *core, const struct claim *claim, uint32_t gpu)
{
	const struct gpu *state = &core->gpus[gpu];
	const struct claim *lease = claim_by_id(core, claim->rec.resumes);
	const struct need *need = &claim->rec.need;
	uint64_t id = claim->rec.id;

	if (lease && claim_parked(lease) && state->memory_head != 0)
		return true;
	return (need->slots > 0 && state->turn_head != 0 && state->turn_head != id) ||
	       (need->vram_bytes > 0 && state->memory_head != 0 && state->memory_head != id);
}

/* I5: it is the head of a GPU, or on every GPU that could serve it something that it needs is kept
 * for another. A turn of several slots or GPUs may lose what it kept to an earlier arrival; then it
 * could not start on the rest. */
static void check_turned_down(const struct core *core, const struct claim *claim)
{
	uint32_t open = claim->mask & schedule_open(core, claim->rec.need.vram_bytes > 0);
	bool big = need_is_big(core, &claim->rec.need);
	uint32_t possible = 0, free = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		const struct gpu *state = &core->gpus[gpu];
		if (state->turn_head == claim->rec.id || state->memory_head == claim->rec.id)
			return;

		if (!(open & (1u << gpu)) ||
		    !placement_possible(core, claim->session, &claim->rec.need, gpu))
			continue;

		possible++;
		if (!kept_from(core, claim, gpu))
			free |= 1u << gpu;
	}

	free &= ~queue_held_back(core, claim);
	INVARIANT(possible < claim->rec.need.gpu_count || free == 0 ||
		  (big && placement_find(core, claim, free, 0) == 0));
}

static void check_waiter(const struct core *core, const struct claim *claim)
{
	INVARIANT(claim->rec.state == CLAIM_QUEUED);
	INVARIANT(claim->group != NULL);
	INVARIANT(claim->rec.granted_mask == 0);
	INVARIANT(claim->slots_charged == 0);
	INVARIANT(claim->rec.end == END_NONE);
	INVARIANT(!claim->silent);

	if (claim->host) {
		INVARIANT(claim->group == claim->host->house->queue);
	} else {
		INVARIANT(claim->group->detached == queue_detached(claim));
		INVARIANT(claim->group->oversized == queue_oversized(core, claim));
		INVARIANT(claim->group->withheld == queue_withheld(core, claim));
	}

	/* I4 */
	if (queue_detached(claim)) {
		bool timed =
			claim->session ? heap_has(&claim->session->timer) : heap_has(&claim->timer);
		INVARIANT(timed);
		return;
	}

	if (!schedule_may_grant(core) || queue_withheld(core, claim))
		return;

	/* I5 in observe mode: nobody waits but for a place inside a lease, or a GPU that is gone.
	 */
	if (core->config.observe) {
		INVARIANT(claim->host || mask_count(observe_eligible(core, &claim->rec.need)) <
						 claim->rec.need.gpu_count);
		return;
	}
	if (claim->group->oversized)
		return;

	if (claim->host)
		check_guest_waits(core, claim);
	else
		check_turned_down(core, claim);
}

static void check_head(const struct core *core, const struct claim *head)
{
	uint32_t kept = 0;

	INVARIANT(head != NULL);
	INVARIANT(head->rec.state == CLAIM_QUEUED);

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (!kept_from(core, head, gpu))
			kept |= 1u << gpu;

	kept &= ~queue_held_back(core, head);
	INVARIANT(placement_find(core, head, kept, 0) == 0);
}

/* I5: the head of a GPU could not be placed on what is kept for it or for nobody. */
static void check_heads(const struct core *core)
{
	if (!schedule_may_grant(core))
		return;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		if (core->gpus[gpu].turn_head != 0)
			check_head(core, claim_by_id(core, core->gpus[gpu].turn_head));
		if (core->gpus[gpu].memory_head != 0)
			check_head(core, claim_by_id(core, core->gpus[gpu].memory_head));
	}
}

static void check_sessions(const struct core *core)
{
	for (struct rank_node *node = rank_tree_first(&core->sessions); node;
	     node = rank_tree_next(node)) {
		const struct session *session = session_of_id(node);
		uint32_t waiting = 0, holding = 0, computing = 0;

		list_each (it, next, &session->claims) {
			const struct claim *claim = container_of(it, struct claim, in_session);
			INVARIANT(claim->session == session);
			waiting += claim->rec.state == CLAIM_QUEUED;
			holding += claim_has_room(claim);
			computing += claim_has_room(claim) && claim_computes(claim);
		}

		INVARIANT(waiting == session->waiting);
		INVARIANT(holding == session->holding);
		INVARIANT(computing == session->computing);
		if (session->conn == 0 && !session->ended)
			INVARIANT(heap_has(&session->timer));
	}
}

/* After a tick nothing is overdue, unless too much was due at once. */
static void check_deadlines(const struct core *core, struct mono_ms now)
{
	const struct heap_node *claim = heap_first(&core->claim_timers);
	const struct heap_node *session = heap_first(&core->session_timers);

	if (!core->ticking || core->last_tick.v != now.v || core->tick_unfinished)
		return;

	if (claim)
		INVARIANT(claim->key > now.v);
	if (session)
		INVARIANT(session->key > now.v);
}

void core_check(const struct core *core, struct mono_ms now)
{
	uint32_t count = 0;

	if (!core->started)
		return;

	PRE(now.v >= core->now.v);

	check_ledger(core);
	check_session_vram(core);

	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node), count++)
		check_holder(core, claim_of_place(node));
	for (struct rank_node *node = rank_tree_first(&core->places); node;
	     node = rank_tree_next(node), count++)
		check_waiter(core, claim_of_place(node));

	/* I7: what ended is in no table, and so can never be held again */
	INVARIANT(count == core->claims_by_id.count);

	check_heads(core);
	check_sessions(core);
	principal_check(core);
	resident_check(core);
	check_deadlines(core, now);
}
