/* walk_parts: groups, openings and what is kept. It grants nothing and asks nobody. */
#include "core/walk_parts.h"

#include <string.h>

#include "base/contracts.h"
#include "core/claim.h"
#include "core/ledger.h"
#include "core/park.h"
#include "core/placement.h"
#include "core/queue.h"

/* It is a head: something that it waits for is kept for it. */
bool walk_is_head(const struct core *core, const struct claim *claim)
{
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (core->gpus[gpu].turn_head == claim->rec.id ||
		    core->gpus[gpu].memory_head == claim->rec.id)
			return true;
	return false;
}

/* Of these GPUs, whose turns or memory are kept: those kept for a later arrival. */
static uint32_t kept_for_later(const struct core *core, uint32_t gpus, bool memory,
			       struct mono_ms arrival)
{
	uint32_t later = 0;

	mask_each (gpu, gpus) {
		const struct gpu *state = &core->gpus[gpu];
		uint64_t head = memory ? state->memory_head : state->turn_head;
		if (mono_before(arrival, claim_by_id(core, head)->rec.arrival))
			later |= gpu_bit(gpu);
	}
	return later;
}

static uint32_t open_turns(const struct core *core, const struct walk *walk,
			   const struct claim *claim)
{
	return walk->turns | kept_for_later(core, walk->behind_big, false, claim->rec.arrival);
}

static uint32_t open_memory(const struct core *core, const struct walk *walk,
			    const struct claim *claim)
{
	return walk->memory | kept_for_later(core, walk->found_by_big, true, claim->rec.arrival);
}

uint32_t walk_open(const struct core *core, const struct walk *walk, const struct claim *claim)
{
	const struct group *group = claim->group;
	uint32_t open = group->possible;

	if (group->need.slots > 0)
		open &= open_turns(core, walk, claim);
	if (group->need.vram_bytes > 0)
		open &= open_memory(core, walk, claim);
	if (claim->rec.resumes)
		open &= ~park_wanted_on(core, claim);

	return claim->made_room_for ? open & ~queue_held_back(core, claim) : open;
}

/* A group that would not fit even if all holders left keeps nothing. */
static uint32_t possible_gpus(const struct core *core, const struct group *group)
{
	if (group->detached || group->withheld || group->oversized ||
	    rank_tree_count(&group->turns) == 0)
		return 0;

	return placement_possible_gpus(core, group->session, &group->need, group->mask);
}

void walk_prepare(struct core *core)
{
	list_each (it, next, &core->groups) {
		struct group *group = container_of(it, struct group, in_groups);
		group->cursor = rank_tree_first(&group->turns);
		group->possible = possible_gpus(core, group);
	}
}

/* It may hold an earlier arrival than the head of a turn or of memory there. */
static bool has_elder(const struct core *core, const struct walk *walk, const struct group *group)
{
	return kept_for_later(core, walk->behind_big & group->possible, false, group->oldest) ||
	       kept_for_later(core, walk->found_by_big & group->possible, true, group->oldest);
}

static struct mono_ms oldest_of(const struct group *group)
{
	struct mono_ms oldest = MONO_NEVER;

	for (struct rank_node *node = rank_tree_first(&group->turns); node;
	     node = rank_tree_next(node))
		oldest = mono_min(oldest, claim_of_turn(node)->rec.arrival);
	return oldest;
}

/* For what it is, and not for what its group asks for: others behind it are not. */
static bool is_held_back(const struct core *core, const struct claim *claim)
{
	return queue_held_back(core, claim) || park_wanted_on(core, claim);
}

/* What is kept from the first of a group may be open to one behind it that arrived before the head,
 * or that is not held back: that one is visited instead. */
static void pass_over_kept(const struct core *core, const struct walk *walk, struct group *group)
{
	struct rank_node *node = group->cursor;

	if (!node || walk_open(core, walk, claim_of_turn(node)) ||
	    (!is_held_back(core, claim_of_turn(node)) && !has_elder(core, walk, group)))
		return;

	while (node && !walk_open(core, walk, claim_of_turn(node)))
		node = rank_tree_next(node);

	if (node)
		group->cursor = node;
	else
		group->oldest = oldest_of(group);
}

void walk_rewind(struct core *core, bool to_first)
{
	list_each (it, next, &core->groups) {
		struct group *group = container_of(it, struct group, in_groups);
		group->cursor = to_first ? rank_tree_first(&group->turns) : NULL;
	}
}

/* Among claims that want a turn, or those that want memory and no turn. */
void walk_firsts(struct core *core, const struct walk *walk, bool memory, struct firsts *ret)
{
	memset(ret->v, 0, core->config.gpu_count * sizeof(ret->v[0]));

	list_each (it, next, &core->groups) {
		struct group *group = container_of(it, struct group, in_groups);
		struct claim *claim;

		if (memory == (group->need.slots > 0))
			continue;
		pass_over_kept(core, walk, group);
		claim = claim_of_turn(group->cursor);
		if (!claim)
			continue;

		for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
			struct claim **first = &ret->v[gpu][group->cls];
			if ((group->possible & gpu_bit(gpu)) &&
			    (!*first || queue_before(claim, *first)))
				*first = claim;
		}
	}
}

/* The first voice of a group; but not one that yielded to another and was put behind it. */
static bool goes_first(const struct core *core, const struct group *group)
{
	const struct claim *claim = claim_of_turn(group->cursor);

	return mono_due(claim->rec.tag, mono_after(core->now, 1));
}

/* The next group by key that has something open within `gpus`. */
struct group *walk_next(struct core *core, const struct walk *walk, bool voice_only, uint32_t gpus)
{
	struct group *best = NULL;

	list_each (it, next, &core->groups) {
		struct group *group = container_of(it, struct group, in_groups);

		if (voice_only && group->cls != LEASE_VOICE)
			continue;
		pass_over_kept(core, walk, group);

		if (!group->cursor || (voice_only && !goes_first(core, group)) ||
		    !(walk_open(core, walk, claim_of_turn(group->cursor)) & gpus))
			continue;

		if (!best ||
		    queue_before(claim_of_turn(group->cursor), claim_of_turn(best->cursor)))
			best = group;
	}
	return best;
}

/* Where a head keeps turns: where it lacks them; on all, if a set lacks one, so that it does not
 * lose those it has found, or once its class is due. A claim that waits for memory alone keeps
 * none. */
static uint32_t turns_to_keep(const struct core *core, const struct claim *claim, uint32_t gpus,
			      enum keeps keeps)
{
	uint32_t lacking = 0;

	if (claim->rec.need.slots == 0 || keeps == KEEPS_MEMORY)
		return 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if ((gpus & gpu_bit(gpu)) && !ledger_turn_fits(core, claim, gpu))
			lacking |= gpu_bit(gpu);

	return keeps == KEEPS_ALL || lacking ? gpus : 0;
}

static void close_on(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpu,
		     bool turns, enum keeps keeps)
{
	const struct need *need = &claim->rec.need;
	struct gpu *state = &core->gpus[gpu];

	if (turns && (open_turns(core, walk, claim) & gpu_bit(gpu))) {
		walk->turns &= ~gpu_bit(gpu);
		walk->behind_big &= ~gpu_bit(gpu);
		walk->behind_big |= need_is_big(core, need) ? gpu_bit(gpu) : 0;
		state->turn_head = claim->rec.id;
		state->head_due = keeps == KEEPS_ALL;
	}

	if (need->vram_bytes > 0 && (open_memory(core, walk, claim) & gpu_bit(gpu))) {
		bool found = ledger_vram_fits(core, claim->session, gpu, need->vram_bytes);
		walk->memory &= ~gpu_bit(gpu);
		walk->found_by_big &= ~gpu_bit(gpu);
		walk->found_by_big |= found && need_is_big(core, need) ? gpu_bit(gpu) : 0;
		state->memory_head = claim->rec.id;
	}
}

void walk_close(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpus,
		enum keeps keeps)
{
	uint32_t kept = turns_to_keep(core, claim, gpus, keeps);

	/* Nobody keeps a turn of a GPU whose memory is kept for another, which may wait for that
	 * turn. */
	gpus &= walk_open(core, walk, claim);

	PRE(gpus != 0);

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (gpus & gpu_bit(gpu))
			close_on(core, walk, claim, gpu, kept & gpu_bit(gpu), keeps);

	POST(claim->rec.need.gpu_count > 1 || walk_is_head(core, claim));
}
