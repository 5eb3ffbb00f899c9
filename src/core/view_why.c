/* view_why: the one reason for which a waiter waits, in the order in which it could be removed.
 * Changes nothing. For status, `baton why` and messages about the queue. */
#include "core/claim.h"
#include "core/ledger.h"
#include "core/notice.h"
#include "core/park.h"
#include "core/placement.h"
#include "core/preempt.h"
#include "core/queue.h"
#include "core/resident.h"
#include "core/schedule.h"
#include "core/session.h"
#include "core/view.h"

static int64_t left_ms(struct mono_ms deadline, struct mono_ms now)
{
	int64_t left = deadline.v == INT64_MAX ? -1 : mono_since(deadline, now);

	return left < -1 ? 0 : left;
}

static enum why_code by_itself(const struct claim *head, const struct claim *holder,
			       enum why_code otherwise)
{
	return head->session && holder->session == head->session ? WHY_SELF : otherwise;
}

/* Who is due, or voice within its credit, is next whoever stands before it. */
static bool passes_others(const struct core *core, const struct claim *head)
{
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (core->gpus[gpu].turn_head == head->rec.id &&
		    (core->gpus[gpu].head_due || head->rec.cls == LEASE_VOICE))
			return true;
	return false;
}

static bool is_head_before(const struct core *core, uint32_t end, uint64_t id)
{
	for (uint32_t gpu = 0; gpu < end; gpu++)
		if (core->gpus[gpu].turn_head == id)
			return true;
	return false;
}

/* Claims served before it: those that pass others, then all by their keys. */
static uint32_t served_before(const struct core *core, const struct claim *claim)
{
	uint32_t rank = rank_tree_rank(&claim->place), before = 0;
	bool passes = passes_others(core, claim);

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		uint64_t id = core->gpus[gpu].turn_head;
		const struct claim *head = id != 0 ? claim_by_id(core, id) : NULL;

		if (!head || is_head_before(core, gpu, id) || !passes_others(core, head))
			continue;
		if (passes)
			before += rank_tree_rank(&head->place) < rank;
		else
			before += rank_tree_rank(&head->place) > rank;
	}

	return passes ? before : rank + before;
}

/* Why the head of a GPU waits for one holder there. */
static struct why of_holder(const struct core *core, const struct claim *head,
			    const struct claim *holder, uint32_t gpu, struct mono_ms now)
{
	struct why why = {.code = WHY_HOLDER, .holder = holder->rec.id, .left_ms = -1};

	if (holder->rec.state == CLAIM_YIELDING) {
		bool native = claim_proof(holder) == PROOF_EXIT;
		why.code = !holder->rec.revoked ? WHY_YIELDING
			   : native             ? WHY_STOPPING
						: WHY_LOCK_DELAY;
		why.left_ms = left_ms(holder->deadline, now);
		if (why.code == WHY_STOPPING && !holder->killed &&
		    session_stoppable(holder->session))
			why.left_ms += core->config.kill_wait_ms;
	} else if (holder->rec.state == CLAIM_DRAINING) {
		why.code = WHY_DRAINING;
		why.left_ms = left_ms(holder->deadline, now);
	} else if (holder->session && holder->session->conn == 0) {
		why.code = WHY_DETACHED;
		why.left_ms = left_ms(holder->session->detach_deadline, now);
	} else {
		why.code = by_itself(head, holder, claim_parked(holder) ? WHY_PARKED : WHY_HOLDER);
		why.held_bytes = claim_parked(holder) ? holder->vram_charged : 0;
		why.idle_ms = why.code == WHY_HOLDER ? notice_idle_ms(core, holder) : 0;
		if (holder->slots_charged > 0)
			why.left_ms = left_ms(preempt_limit(core, head, holder, gpu), now);
		else if (claim_parked(holder))
			why.left_ms = left_ms(resident_leaves_at(core, head, holder), now);
	}

	return why;
}

/* Leavers come before holders not yet asked, and others before its own session: it waits for itself
 * only if nobody else is in the way. */
static int rank_of(const struct why *why)
{
	if (why->code == WHY_SELF)
		return 2;
	return why->code == WHY_HOLDER || why->code == WHY_PARKED ? 1 : 0;
}

/* Nothing more will unload, and what stays leaves too little: name the largest. */
static void why_pinned(const struct core *core, const struct claim *head, uint32_t gpu,
		       struct why *why)
{
	const struct claim *largest = NULL;

	if (placement_possible(core, head->session, &head->rec.need, gpu))
		return;

	gpu_holders (holder, core, gpu, HOLDER_KEEPS)
		if (!placement_can_leave(holder) &&
		    (!largest || holder->vram_charged > largest->vram_charged))
			largest = holder;

	if (!largest || largest->vram_charged == 0)
		return;

	why->code = by_itself(head, largest, WHY_PINNED);
	why->holder = largest->rec.id;
	why->held_bytes = largest->vram_charged;
	why->left_ms = -1;
}

/* Nobody leaves yet who has the memory: name the largest that only keeps it for what is frozen. */
static void why_parked(const struct core *core, const struct claim *head, uint32_t gpu,
		       struct mono_ms now, struct why *why)
{
	const struct claim *largest = NULL;

	gpu_holders (holder, core, gpu, HOLDER_KEEPS)
		if (claim_parked(holder) && holder->vram_charged > 0 && !claim_leaves(holder) &&
		    (!largest || holder->vram_charged > largest->vram_charged))
			largest = holder;
	if (largest)
		*why = of_holder(core, head, largest, gpu, now);
}

static void scan_holders(const struct core *core, const struct claim *head, uint32_t gpu,
			 enum holder_kind kind, struct mono_ms now, struct why *best)
{
	bool slots_fit = ledger_turn_fits(core, head, gpu);

	gpu_holders (holder, core, gpu, kind) {
		bool asked = claim_leaves(holder) && holder->vram_charged > 0;
		struct why why;
		if (slots_fit && !asked)
			continue;

		why = of_holder(core, head, holder, gpu, now);
		if (slots_fit && holder->rec.yield_reason == YIELD_EVICTED && !holder->rec.revoked)
			why.code = WHY_EVICTING;
		if (best->code == WHY_VRAM || rank_of(&why) < rank_of(best))
			*best = why;
	}
}

static void why_head(const struct core *core, const struct claim *head, uint32_t gpu,
		     struct mono_ms now, struct why *ret_why)
{
	bool slots_fit = ledger_turn_fits(core, head, gpu);
	struct why best = {.code = WHY_VRAM, .left_ms = -1};

	scan_holders(core, head, gpu, HOLDER_COMPUTES, now, &best);

	if (slots_fit)
		scan_holders(core, head, gpu, HOLDER_KEEPS, now, &best);

	if (slots_fit && best.code == WHY_VRAM)
		why_parked(core, head, gpu, now, &best);

	if (slots_fit && !ledger_vram_known(core, gpu))
		best.code = WHY_UNKNOWN;
	else if (slots_fit && ledger_fits(core, head, gpu))
		best.code = WHY_NEXT;
	else if (slots_fit && (rank_of(&best) > 0 || best.code == WHY_VRAM))
		why_pinned(core, head, gpu, &best);

	best.ahead = ret_why->ahead;
	best.gpu = gpu;
	best.want_bytes = head->rec.need.vram_bytes;
	best.free_bytes = ledger_vram_free(core, gpu);
	best.strange_bytes = ledger_vram_unmanaged(core, gpu);

	*ret_why = best;
}

/* Several GPUs would do and all are held: name all holders, not only the next to leave. */
static void why_holders(const struct core *core, const struct claim *claim, struct why *ret_why)
{
	struct why why = *ret_why;
	uint32_t others = 0;
	uint32_t mask = claim->mask & schedule_open(core, claim->rec.need.vram_bytes > 0);

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if ((mask & (1u << gpu)) && ledger_turn_fits(core, claim, gpu))
			return;

	if (mask_count(mask) < 2)
		return;

	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node)) {
		const struct claim *holder = claim_of_place(node);
		if (!(holder->rec.granted_mask & mask) || holder->slots_charged == 0)
			continue;

		if (why.holder_count < WHY_NAMED_MAX)
			why.holders[why.holder_count] = holder->rec.id;
		why.holder_count++;
		others += by_itself(claim, holder, WHY_HOLDER) == WHY_HOLDER;
	}

	if (others == 0)
		return;

	why.code = WHY_HOLDERS;
	why.gpu_count = mask_count(mask);
	*ret_why = why;
}

/* What blocks the first in the queue blocks this claim, too. */
static void why_front(const struct core *core, const struct claim *claim, struct mono_ms now,
		      struct why *ret_why)
{
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		const struct gpu *state = &core->gpus[gpu];
		uint64_t id = claim->rec.need.slots > 0 ? state->turn_head : state->memory_head;
		const struct claim *head = id != 0 ? claim_by_id(core, id) : NULL;
		struct why why = {.left_ms = -1};

		if (!(claim->mask & (1u << gpu)) || !head)
			continue;

		why_head(core, head, gpu, now, &why);
		if (why.code == WHY_HOLDER)
			why_holders(core, head, &why);

		if (why.holder == 0)
			continue;
		if (why.code == WHY_SELF) /* true for the first one only */
			why.code = why.held_bytes > 0 ? WHY_PINNED : WHY_HOLDER;

		why.head = why.code;
		why.code = ret_why->code;
		why.ahead = ret_why->ahead;
		*ret_why = why;
		return;
	}
}

/* Others come first: capacity kept for another where some would be free, else the queue itself. */
static void why_behind(const struct core *core, const struct claim *claim, struct mono_ms now,
		       struct why *ret_why)
{
	ret_why->code = WHY_BEHIND;
	why_front(core, claim, now, ret_why);

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		const struct gpu *state = &core->gpus[gpu];
		uint64_t head = claim->rec.need.slots > 0 ? state->turn_head : 0;

		if (head == 0 && claim->rec.need.vram_bytes > 0)
			head = state->memory_head;
		if (head == 0 && (queue_held_back(core, claim) & (1u << gpu)))
			head = claim->made_room_for;

		if (!(claim->mask & (1u << gpu)) || head == 0 || !ledger_fits(core, claim, gpu))
			continue;

		ret_why->code = WHY_RESERVED;
		ret_why->holder = head;
		ret_why->gpu = gpu;
		return;
	}

	if (ret_why->ahead == 0)
		ret_why->code = ret_why->holder != 0 ? ret_why->head : WHY_NEXT;
}

/* It would not fit even if every holder that can leave did. */
static void why_blocked(const struct core *core, const struct claim *claim, uint32_t gpu,
			struct why *ret_why)
{
	ret_why->code = WHY_VRAM;
	ret_why->gpu = gpu;
	ret_why->free_bytes = ledger_vram_free(core, gpu);
	ret_why->strange_bytes = ledger_vram_unmanaged(core, gpu);
	why_pinned(core, claim, gpu, ret_why);
	if (core->gpus[gpu].pinned_slots == 0)
		return;

	gpu_holders (holder, core, gpu, HOLDER_COMPUTES)
		if (!placement_can_leave(holder)) {
			ret_why->code = by_itself(claim, holder, WHY_OBSERVED);
			ret_why->holder = holder->rec.id;
			return;
		}
}

/* From the GPU whose head it is; else from what blocks it everywhere; else from the queue. */
static void why_served(const struct core *core, const struct claim *claim, struct mono_ms now,
		       struct why *ret_why)
{
	uint32_t open = claim->mask & schedule_open(core, claim->rec.need.vram_bytes > 0);

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		const struct gpu *state = &core->gpus[gpu];

		if (!(open & (1u << gpu)))
			continue;
		if (state->turn_head != claim->rec.id && state->memory_head != claim->rec.id)
			continue;

		why_head(core, claim, gpu, now, ret_why);
		if (ret_why->code == WHY_HOLDER || ret_why->code == WHY_SELF)
			why_holders(core, claim, ret_why);
		if (ret_why->code != WHY_NEXT)
			return;
	}

	if (placement_possible_gpus(core, claim->session, &claim->rec.need, open))
		why_behind(core, claim, now, ret_why);
	else
		why_blocked(core, claim, mask_first(open), ret_why);
}

void core_why(const struct core *core, uint64_t claim_id, struct mono_ms now, struct why *ret_why)
{
	const struct claim *claim = claim_by_id(core, claim_id);

	*ret_why = (struct why){.code = WHY_NEXT, .left_ms = -1};

	if (!claim || claim->rec.state != CLAIM_QUEUED)
		return;

	ret_why->ahead = served_before(core, claim);
	ret_why->gpu = mask_first(claim->mask);
	ret_why->want_bytes = claim->rec.need.vram_bytes;

	if (queue_detached(claim)) {
		ret_why->code = WHY_DETACHED_SELF;
		ret_why->left_ms = left_ms(claim->session ? claim->session->place_deadline
							  : claim->place_deadline,
					   now);
	} else if (!core->journal_ok) {
		ret_why->code = WHY_JOURNAL;
	} else if (schedule_in_doubt(core, now)) {
		ret_why->code = WHY_IN_DOUBT;
		ret_why->left_ms = left_ms(core->in_doubt_until, now);
	} else if (core->paused) {
		ret_why->code = WHY_PAUSED;
	} else if (queue_withheld(core, claim)) {
		ret_why->code = WHY_AUTHORITY;
	} else if (claim->host) {
		ret_why->code = WHY_HOST;
		ret_why->holder = claim->host->rec.id;
	} else if (queue_oversized(core, claim)) {
		ret_why->code = WHY_OVERSIZED;
	} else if (!(claim->mask & schedule_open(core, false))) {
		ret_why->code = WHY_UNHEALTHY;
	} else if (!(claim->mask & schedule_open(core, claim->rec.need.vram_bytes > 0))) {
		ret_why->code = WHY_UNKNOWN;
	} else {
		why_served(core, claim, now, ret_why);
	}
}
