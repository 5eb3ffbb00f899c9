/* walk: the passes of the scheduler. Waiters of one class and one need stand in one group, so a
 * pass costs in proportion to groups and GPUs, not waiters: each visit grants or keeps something,
 * and a group with nothing open is skipped whole. */
#include "core/walk_parts.h"

#include "core/claim.h"
#include "core/ledger.h"
#include "core/placement.h"
#include "core/schedule.h"
#include "core/shares.h"
#include "core/walk.h"

/* A class that is owed the next turn on a GPU. */
struct due {
	struct mono_ms at;
	uint32_t gpu;
	struct claim *claim; /* NULL: none */
};

static void grant_claim(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpus,
			bool due)
{
	struct group *group = claim->group;

	if (group->cursor == &claim->turn)
		group->cursor = rank_tree_next(&claim->turn);

	walk->again |= walk_is_head(core, claim) || claim->room_made;
	claim->rec.due_turn = due;
	claim->rec.due_since = core->now;

	mask_each (gpu, gpus) {
		struct gpu *state = &core->gpus[gpu];
		if (claim->rec.need.slots > 0)
			state->last_due = due;
		else
			state->memory_since[claim->rec.cls] = core->now;
	}

	schedule_grant(core, claim, gpus);
}

/* After a due turn one voice goes before the next due one. */
static bool voice_is_next(const struct core *core, const struct firsts *firsts, uint32_t gpu)
{
	return core->gpus[gpu].last_due && firsts->v[gpu][LEASE_VOICE] && share_urgent(core, gpu);
}

/* Of all that are due, on all GPUs, the one that became due first: each class is owed time at its
 * share, so a FIFO queue of due turns is bounded (Cruz, 1991). */
static struct due next_due(const struct core *core, struct walk *walk, const struct firsts *firsts,
			   bool after_voice)
{
	struct due best = {MONO_NEVER, 0, NULL};

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		if (!after_voice && voice_is_next(core, firsts, gpu)) {
			walk->visited = true;
			continue;
		}

		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
			struct claim *claim = firsts->v[gpu][cls];
			struct mono_ms at;

			if (!claim || !(walk_open(core, walk, claim) & gpu_bit(gpu)) ||
			    walk_is_head(core, claim))
				continue;

			at = share_due_at(core, gpu, claim);
			if (mono_due(at, core->now) && mono_before(at, best.at))
				best = (struct due){at, gpu, claim};
		}
	}
	return best;
}

/* If a claim of its class already has a turn there that was not due, that becomes the due turn. */
static bool promote_holder(struct core *core, const struct claim *claim, uint32_t gpu)
{
	gpu_holders (holder, core, gpu, HOLDER_COMPUTES) {
		if (holder->turn_cls != claim->rec.cls || holder->rec.due_turn ||
		    claim_leaves(holder))
			continue;

		holder->rec.due_turn = true;
		holder->rec.due_since = core->now;
		claim_dirty(core, holder);
		core->gpus[gpu].last_due = true;
		return true;
	}
	return false;
}

static bool memory_is_there(const struct core *core, const struct claim *claim, uint32_t gpus)
{
	uint64_t bytes = claim->rec.need.vram_bytes;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if ((gpus & gpu_bit(gpu)) && !ledger_vram_fits(core, claim->session, gpu, bytes))
			return false;
	return true;
}

static uint32_t due_on(const struct core *core, const struct claim *claim)
{
	uint32_t due = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (mono_due(share_due_at(core, gpu, claim), core->now))
			due |= gpu_bit(gpu);
	return due;
}

/* On that GPU; a claim for one GPU also where it may ask holders and is served sooner. */
static uint32_t where_to_ask(const struct core *core, const struct claim *claim, uint32_t open,
			     uint32_t due, uint32_t gpu)
{
	bool set = claim->rec.need.gpu_count > 1;
	uint32_t asks = gpu_bit(gpu);

	for (uint32_t other = 0; !set && other < core->config.gpu_count; other++) {
		bool voice = claim->rec.cls == LEASE_VOICE && share_urgent(core, other);
		if ((voice || (due & gpu_bit(other))) && !ledger_turn_fits(core, claim, other))
			asks |= gpu_bit(other);
	}

	return placement_choose(core, claim, open & asks, due);
}

/* It gets its due turn only where it is due: elsewhere it would overtake those due there, so there
 * it goes by key; a set that fits keeps nothing until then. While memory is freed for it, turns
 * continue: the others' bounds do not include that. */
static void visit_due(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpu)
{
	uint32_t open = walk_open(core, walk, claim);
	uint32_t gpus = placement_find(core, claim, open, gpu_bit(gpu)), due;
	bool fits = gpus & gpu_bit(gpu);
	enum keeps keeps = KEEPS_ALL;

	walk->visited = true;
	if (!fits && promote_holder(core, claim, gpu))
		return;

	claim->group->cursor = rank_tree_next(&claim->turn);
	if (fits) {
		grant_claim(core, walk, claim, gpus, true);
		return;
	}

	if (gpus && claim->rec.need.gpu_count > 1)
		return;

	due = due_on(core, claim);
	gpus = where_to_ask(core, claim, open, due, gpu);

	if (!(gpus & due))
		keeps = KEEPS_LACKING;
	else if (!memory_is_there(core, claim, gpus))
		keeps = KEEPS_MEMORY;

	walk_close(core, walk, claim, gpus, keeps);
}

static void serve_due(struct core *core, struct walk *walk, bool after_voice)
{
	struct firsts firsts;
	struct due due;

	walk_firsts(core, walk, false, &firsts);

	while ((due = next_due(core, walk, &firsts, after_voice)).claim) {
		visit_due(core, walk, due.claim, due.gpu);
		walk_firsts(core, walk, false, &firsts);
	}
}

int64_t walk_memory_ms(const struct core *core, enum lease_class cls)
{
	int64_t share = core->config.classes[cls].share_permille;

	return share > 0 ? core->config.quantum_ms * 1000 / share : INT64_MAX;
}

/* Residents have no turns; the first of a class that has waited long for memory goes next, before
 * any other. */
static void serve_memory(struct core *core, struct walk *walk)
{
	struct firsts firsts;

	walk_firsts(core, walk, true, &firsts);

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		struct claim *best = NULL;
		struct mono_ms best_at = MONO_NEVER;

		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
			struct claim *claim = firsts.v[gpu][cls];
			struct mono_ms at = mono_after(core->gpus[gpu].memory_since[cls],
						       walk_memory_ms(core, (enum lease_class)cls));

			bool open = claim && claim->rec.state == CLAIM_QUEUED &&
				    (walk_open(core, walk, claim) & gpu_bit(gpu));
			if (open && mono_due(at, core->now) && mono_before(at, best_at)) {
				best = claim;
				best_at = at;
			}
		}

		if (!best || walk_is_head(core, best))
			continue;

		walk->visited = true;
		uint32_t gpus =
			placement_find(core, best, walk_open(core, walk, best), gpu_bit(gpu));

		if (gpus)
			grant_claim(core, walk, best, gpus, true);
		else
			walk_close(core, walk, best, placement_choose(core, best, gpu_bit(gpu), 0),
				   KEEPS_LACKING);
	}
}

/* What was kept for a claim is open again when it fits elsewhere: claims skipped for it are then
 * visited again. */
static void visit_claim(struct core *core, struct walk *walk, struct claim *claim, uint32_t within)
{
	bool set = claim->rec.need.gpu_count >
		   1; /* a set is taken as a whole, wherever its first GPU is */
	uint32_t open = walk_open(core, walk, claim) & (set ? UINT32_MAX : within);
	uint32_t gpus = open ? placement_find(core, claim, open, 0) : 0;

	walk->visited = true;
	if (gpus)
		grant_claim(core, walk, claim, gpus, false);
	else if (open && !walk_is_head(core, claim))
		walk_close(core, walk, claim, placement_choose(core, claim, open, 0),
			   KEEPS_LACKING);
}

static void visit_next(struct core *core, struct walk *walk, struct group *group, uint32_t within)
{
	struct claim *claim = claim_of_turn(group->cursor);

	group->cursor = rank_tree_next(group->cursor);
	visit_claim(core, walk, claim, within);
}

/* The group of another class whose first becomes due before an uninterruptible turn of this group
 * would be over. */
static struct group *endangered_by(struct core *core, const struct walk *walk,
				   const struct group *group)
{
	int64_t late_ms = group->stop_ms - share_run_ms(core) - share_handoff_ms(core);
	struct mono_ms before = mono_after(core->now, late_ms);
	const struct claim *claim = claim_of_turn(group->cursor);
	struct group *found = NULL;
	struct firsts firsts;

	if (group->need.slots == 0 || late_ms <= 0)
		return NULL;
	walk_firsts(core, walk, false, &firsts);
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
			const struct claim *first = firsts.v[gpu][cls];
			bool other = first && first->group->cls != group->cls &&
				     (walk_open(core, walk, claim) & walk_open(core, walk, first) &
				      gpu_bit(gpu));

			if (!other || need_is_big(core, &first->rec.need) ||
			    walk_is_head(core, first) ||
			    !mono_before(share_due_at(core, gpu, first), before))
				continue;

			before = share_due_at(core, gpu, first);
			found = first->group;
		}
	}
	return found;
}

/* By key; but an uninterruptible turn starts only where it ends before another class is due:
 * otherwise that class's first goes before it. */
static void serve_rest(struct core *core, struct walk *walk)
{
	struct group *group, *endangered;

	walk_rewind(core, true);

	while ((group = walk_next(core, walk, false, UINT32_MAX))) {
		endangered = endangered_by(core, walk, group);
		visit_next(core, walk, endangered ? endangered : group, UINT32_MAX);
	}
}

static void serve_voice(struct core *core, struct walk *walk)
{
	uint32_t urgent = 0;
	struct group *group;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		urgent |= share_urgent(core, gpu) ? gpu_bit(gpu) : 0;

	walk_rewind(core, true);
	while ((group = walk_next(core, walk, true, urgent)))
		visit_next(core, walk, group, urgent);
}

bool walk_once(struct core *core)
{
	struct walk walk = {.turns = schedule_open(core, false),
			    .memory = schedule_open(core, true)};

	core->wake = MONO_NEVER;

	walk_forget(core);
	if (list_empty(&core->groups))
		return true;

	walk_prepare(core);
	serve_due(core, &walk, false);

	walk_rewind(core, true);
	serve_memory(core, &walk);
	serve_voice(core, &walk);

	walk_rewind(core, true);
	if (walk.visited)
		serve_due(core, &walk, true);
	serve_rest(core, &walk);

	walk_rewind(core, false);
	return !walk.again;
}
