/* observe: granting beside others. What the rules would have done instead is not guessed here: the
 * journal keeps what happened, and a replay runs it through the rules (decision 0016). */
#include "core/observe.h"

#include "base/contracts.h"
#include "core/emit.h"
#include "core/ledger.h"
#include "core/queue.h"
#include "core/schedule.h"
#include "core/walk.h"
#include "core/yield.h"

void observe_begin(struct core *core)
{
	struct rank_node *node = rank_tree_first(&core->holders);

	PRE(core->config.observe);

	for (; node; node = rank_tree_next(node)) {
		struct claim *claim = claim_of_place(node);
		if (!claim->host && claim->rec.state == CLAIM_YIELDING && !claim->rec.revoked &&
		    claim_asked_for_one(claim))
			yield_withdraw(core, claim);
	}
}

uint32_t observe_eligible(const struct core *core, const struct need *need)
{
	uint32_t mask = ledger_eligible(core, need);

	PRE(need->gpu_count > 0);
	if (!core->config.observe || mask_count(mask) >= need->gpu_count ||
	    need->slots > OBSERVE_SLOTS_MAX)
		return mask;
	return need_named(core, need);
}

/* Where it could be alone rather than where it never fits; where it finds room rather than beside
 * others; the emptier one. */
static bool better_beside(const struct core *core, const struct claim *claim, uint32_t a,
			  uint32_t b)
{
	uint32_t eligible = ledger_eligible(core, &claim->rec.need);
	bool alone_a = eligible & (1u << a), alone_b = eligible & (1u << b);
	bool fits_a = ledger_fits(core, claim, a), fits_b = ledger_fits(core, claim, b);

	if (alone_a != alone_b)
		return alone_a;
	if (fits_a != fits_b)
		return fits_a;
	if (core->gpus[a].slots_used != core->gpus[b].slots_used)
		return core->gpus[a].slots_used < core->gpus[b].slots_used;
	return ledger_vram_free(core, a) > ledger_vram_free(core, b);
}

/* 0: the configuration has too few of the GPUs that it names. */
static uint32_t place_beside(const struct core *core, const struct claim *claim)
{
	uint32_t open = observe_eligible(core, &claim->rec.need), placed = 0;

	if (mask_count(open) < claim->rec.need.gpu_count)
		return 0;

	while (mask_count(placed) < claim->rec.need.gpu_count) {
		uint32_t best = mask_first(open & ~placed);
		mask_each (gpu, open & ~placed)
			if (better_beside(core, claim, gpu, best))
				best = gpu;
		placed |= 1u << best;
	}

	POST((placed & ~open) == 0);
	return placed;
}

void observe_rest(struct core *core)
{
	struct rank_node *node = rank_tree_first(&core->places);

	PRE(core->config.observe);

	while (node) {
		struct claim *claim = claim_of_place(node);
		uint32_t gpus;
		node = rank_tree_next(node);

		/* Places inside a lease are its holder's to give (host.c). */
		if (claim->host || queue_detached(claim) || queue_withheld(core, claim))
			continue;

		gpus = place_beside(core, claim);
		if (gpus == 0)
			continue;
		claim->rec.would_wait = true;
		schedule_grant(core, claim, gpus);
	}
	walk_forget(core);
}

static const struct claim *first_beside(const struct core *core, const struct claim *claim)
{
	for (int kind = 0; kind < HOLDER_KIND_COUNT; kind++)
		mask_each (gpu, claim->rec.granted_mask)
			gpu_holders (holder, core, gpu, (enum holder_kind)kind)
				if (holder != claim)
					return holder;
	return NULL;
}

void observe_collided(struct core *core, const struct claim *claim)
{
	const struct claim *other = first_beside(core, claim);
	struct trace_effect *trace = trace_claim(core, claim, TRACE_COLLIDES);

	PRE(claim->rec.would_wait);

	trace->other = other ? other->rec.id : 0;
	text_copy(trace->detail, sizeof(trace->detail),
		  other ? "the rules would have let it wait" : "it asks for more than there is");
}
