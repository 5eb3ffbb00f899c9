/* all_slots: see all_slots.h. What a lease is charged on one GPU is need_slots, by the
 * configuration: nothing of it is remembered, so a restart and a reload need no more than to ask
 * again. */
#include "core/all_slots.h"

#include "base/contracts.h"
#include "core/claim.h"
#include "core/state.h"

void all_slots_count(const struct core *core, struct claim *claim)
{
	struct need *need = &claim->rec.need;
	uint32_t fewest = UINT32_MAX;

	PRE(claim->rec.granted_mask != 0);
	if (!need->all_slots || need->slots == 0)
		return;

	mask_each (gpu, claim->rec.granted_mask) {
		uint32_t slots = need_slots(core, need, gpu);
		fewest = slots < fewest ? slots : fewest;
	}
	need->slots = fewest;
	POST(need->slots > 0);
}

static bool is_charged(const struct claim *claim)
{
	return claim->rec.need.all_slots && claim->slots_charged > 0;
}

void all_slots_drop(struct core *core)
{
	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node)) {
		const struct claim *claim = claim_of_place(node);
		if (!is_charged(claim))
			continue;

		mask_each (gpu, claim->rec.granted_mask) {
			uint32_t slots = claim_slots(core, claim, gpu);
			INVARIANT(core->gpus[gpu].slots_used >= slots);
			core->gpus[gpu].slots_used -= slots;
			core->gpus[gpu].class_slots[claim->turn_cls] -= slots;
		}
	}
}

void all_slots_take(struct core *core)
{
	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node)) {
		struct claim *claim = claim_of_place(node);
		uint32_t before = claim->rec.need.slots;
		if (!is_charged(claim))
			continue;

		all_slots_count(core, claim);
		claim->slots_charged = claim->rec.need.slots;
		if (claim->rec.need.slots != before)
			claim_dirty(core, claim);

		mask_each (gpu, claim->rec.granted_mask) {
			uint32_t slots = claim_slots(core, claim, gpu);
			core->gpus[gpu].slots_used += slots;
			core->gpus[gpu].class_slots[claim->turn_cls] += slots;
		}
		core->unsettled |= claim->rec.granted_mask;
	}
}
