/* walk: the passes of the scheduler. Waiters of one class and one need stand in one group, so the
 * cost of a pass grows with the number of groups and GPUs, not with those who wait: each visit
 * grants or closes something, and a group with nothing open is passed over whole. */
#include "core/walk.h"

#include <string.h>

#include "core/claim.h"
#include "core/fit.h"
#include "core/ledger.h"
#include "core/order.h"
#include "core/preempt.h"
#include "core/schedule.h"
#include "core/shares.h"

struct walk {
	uint32_t turns,
		memory;      /* GPUs whose turns and memory may still be given to who comes next */
	uint32_t behind_big; /* turns that are kept, but not from who came before the keeper */
	bool again;          /* a kept GPU came free: begin anew */
};

/* The first of each class that a turn of each GPU could serve. */
struct firsts {
	struct claim *v[LIMIT_GPUS][LEASE_CLASS_COUNT];
};

/* A class that is owed the next turn of a GPU. */
struct due {
	struct mono_ms at;
	uint32_t gpu;
	struct claim *claim; /* NULL: none */
};

static uint32_t bit(uint32_t gpu)
{
	return 1u << gpu;
}

static uint32_t kept_turns(const struct core *core, const struct claim *claim)
{
	uint32_t mask = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		mask |= core->gpus[gpu].turn_head == claim->rec.id ? bit(gpu) : 0;
	return mask;
}

static uint32_t kept_memory(const struct core *core, const struct claim *claim)
{
	uint32_t mask = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		mask |= core->gpus[gpu].memory_head == claim->rec.id ? bit(gpu) : 0;
	return mask;
}

/* Something that it waits for is kept for it. */
static bool is_head(const struct core *core, const struct claim *claim)
{
	return kept_turns(core, claim) || kept_memory(core, claim);
}

/* Turns of several slots and sets of GPUs keep what is free until they have the rest. They keep it
 * from those who came later only: so nobody is late for one who was not there when it came. */
static bool is_big(const struct need *need)
{
	return need->slots > 1 || need->gpu_count > 1;
}

static uint32_t open_turns(const struct core *core, const struct walk *walk,
			   const struct claim *claim)
{
	uint32_t open = walk->turns;

	for (uint32_t gpu = 0; walk->behind_big && gpu < core->config.gpu_count; gpu++)
		if ((walk->behind_big & bit(gpu)) &&
		    mono_before(claim->rec.arrival, core->gpus[gpu].keeper_arrival))
			open |= bit(gpu);
	return open;
}

static uint32_t open_for(const struct core *core, const struct walk *walk,
			 const struct claim *claim)
{
	const struct group *group = claim->group;
	uint32_t open = group->possible;

	if (group->need.slots > 0)
		open &= open_turns(core, walk, claim);
	if (group->need.vram_bytes > 0)
		open &= walk->memory;
	return open;
}

/* What cannot be served now, whoever is asked to go, closes nothing. */
static uint32_t possible_gpus(const struct core *core, const struct group *group)
{
	bool vram = group->need.vram_bytes > 0;
	uint32_t open = group->mask & schedule_open(core, vram);
	uint32_t possible = 0;

	if (group->detached || group->withheld || group->beyond ||
	    rank_tree_count(&group->turns) == 0)
		return 0;
	if (!vram)
		possible = open;
	for (uint32_t gpu = 0; vram && gpu < core->config.gpu_count; gpu++)
		if ((open & bit(gpu)) && fit_possible(core, group->session, &group->need, gpu))
			possible |= bit(gpu);
	return mask_count(possible) >= group->need.gpu_count ? possible : 0;
}

static void prepare_groups(struct core *core)
{
	list_each(it, next, &core->groups)
	{
		struct group *group = container_of(it, struct group, in_groups);
		group->cursor = rank_tree_first(&group->turns);
		group->possible = possible_gpus(core, group);
	}
}

static void rewind_groups(struct core *core, bool to_first)
{
	list_each(it, next, &core->groups)
	{
		struct group *group = container_of(it, struct group, in_groups);
		group->cursor = to_first ? rank_tree_first(&group->turns) : NULL;
	}
}

/* Of those who want a turn, or of those who want memory and no turn. */
static void find_firsts(const struct core *core, bool memory, struct firsts *ret)
{
	memset(ret->v, 0, core->config.gpu_count * sizeof(ret->v[0]));
	list_each(it, next, &core->groups)
	{
		const struct group *group = container_of(it, struct group, in_groups);
		struct claim *claim = claim_of_turn(group->cursor);
		if (!claim || memory == (group->need.slots > 0))
			continue;
		for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
			struct claim **first = &ret->v[gpu][group->cls];
			if ((group->possible & bit(gpu)) &&
			    (!*first || order_before(claim, *first)))
				*first = claim;
		}
	}
}

static void grant(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpus,
		  bool due)
{
	struct group *group = claim->group;

	if (group->cursor == &claim->turn)
		group->cursor = rank_tree_next(&claim->turn);
	walk->again |= is_head(core, claim);
	claim->rec.due_turn = due;
	claim->rec.due_since = core->now;
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		struct gpu *state = &core->gpus[gpu];
		if (!(gpus & bit(gpu)))
			continue;
		if (claim->rec.need.slots > 0)
			state->last_due = due;
		if (claim->rec.need.slots == 0)
			state->memory_since[claim->rec.cls] = core->now;
	}
	schedule_grant(core, claim, gpus);
}

/* What a head keeps: what it lacks, and of what it has found what must not be lost again, a set's
 * other GPUs and memory; or all of it, once its class is due. */
enum keeps { KEEPS_LACKING, KEEPS_ALL };

static void close_on(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpu,
		     enum keeps keeps)
{
	const struct need *need = &claim->rec.need;
	struct gpu *state = &core->gpus[gpu];
	bool short_of_turns = need->slots > 0 && !ledger_slots_fit(core, gpu, need->slots);
	bool turns =
		need->slots > 0 && (keeps == KEEPS_ALL || short_of_turns || need->gpu_count > 1);

	if (turns && (open_turns(core, walk, claim) & bit(gpu))) {
		walk->turns &= ~bit(gpu);
		walk->behind_big &= ~bit(gpu);
		walk->behind_big |= is_big(need) ? bit(gpu) : 0;
		state->keeper_arrival = claim->rec.arrival;
		state->turn_head = claim->rec.id;
		state->head_due = keeps == KEEPS_ALL;
	}
	if (need->vram_bytes > 0 && (walk->memory & bit(gpu))) {
		walk->memory &= ~bit(gpu);
		state->memory_head = claim->rec.id;
	}
}

static void close_for(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpus,
		      enum keeps keeps)
{
	/* Nobody keeps a turn of a GPU whose memory is kept for another, who may wait for that
	 * turn. */
	gpus &= open_for(core, walk, claim);
	PRE(gpus != 0);
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (gpus & bit(gpu))
			close_on(core, walk, claim, gpu, keeps);
	POST(is_head(core, claim));
}

/* After a due turn one voice goes before the next. */
static bool voice_is_next(const struct core *core, const struct firsts *firsts, uint32_t gpu)
{
	return core->gpus[gpu].last_due && firsts->v[gpu][LEASE_VOICE] && share_urgent(core, gpu);
}

/* Of all that are due, on all GPUs, the one that became so first: what each class is owed arrives
 * at its share, so a queue of due turns in the order of their arrival is bounded (Cruz, 1991). */
static struct due next_due(const struct core *core, const struct walk *walk,
			   const struct firsts *firsts, uint32_t gpus)
{
	struct due best = {MONO_NEVER, 0, NULL};

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
			struct claim *claim = firsts->v[gpu][cls];
			struct mono_ms at;
			if (!claim || !(gpus & open_for(core, walk, claim) & bit(gpu)) ||
			    is_head(core, claim))
				continue;
			at = share_due_at(core, gpu, claim);
			if (mono_due(at, core->now) && mono_before(at, best.at))
				best = (struct due){at, gpu, claim};
		}
	}
	return best;
}

/* One of its class that has a turn there, and was not due, has the due turn from now on. */
static bool promote_holder(struct core *core, const struct claim *claim, uint32_t gpu)
{
	gpu_holders (holder, core, gpu, HOLDER_COMPUTES) {
		if (holder->rec.cls != claim->rec.cls || holder->rec.due_turn ||
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

static void visit_due(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpu)
{
	uint32_t open = open_for(core, walk, claim);
	uint32_t gpus = fit_place(core, claim, open, bit(gpu));

	if (!gpus && promote_holder(core, claim, gpu))
		return;
	claim->group->cursor = rank_tree_next(&claim->turn);
	if (gpus) {
		grant(core, walk, claim, gpus, gpus & bit(gpu));
		return;
	}
	/* Memory that does not come soon keeps nobody from the turn. */
	if (claim->rec.need.vram_bytes > 0 && !fit_near(core, claim, gpu))
		return;
	close_for(core, walk, claim, fit_choose(core, claim, open & bit(gpu)), KEEPS_ALL);
}

static void serve_due(struct core *core, struct walk *walk, uint32_t gpus)
{
	struct firsts firsts;
	struct due due;

	find_firsts(core, false, &firsts);
	while ((due = next_due(core, walk, &firsts, gpus)).claim) {
		visit_due(core, walk, due.claim, due.gpu);
		find_firsts(core, false, &firsts);
	}
}

int64_t walk_memory_ms(const struct core *core, enum lease_class cls)
{
	int64_t share = core->config.classes[cls].share_permille;

	return share > 0 ? core->config.quantum_ms * 1000 / share : INT64_MAX;
}

/* Residents have no turns; the first of a class that waited long for memory is next, whoever else
 * asks. */
static void serve_memory(struct core *core, struct walk *walk)
{
	struct firsts firsts;

	find_firsts(core, true, &firsts);
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		struct claim *best = NULL;
		struct mono_ms best_at = MONO_NEVER;
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
			struct claim *claim = firsts.v[gpu][cls];
			struct mono_ms at = mono_after(core->gpus[gpu].memory_since[cls],
						       walk_memory_ms(core, (enum lease_class)cls));
			bool open = claim && claim->rec.state == CLAIM_QUEUED &&
				    (walk->memory & bit(gpu));
			if (open && mono_due(at, core->now) && mono_before(at, best_at)) {
				best = claim;
				best_at = at;
			}
		}
		if (!best || is_head(core, best))
			continue;
		uint32_t gpus = fit_place(core, best, open_for(core, walk, best), bit(gpu));
		if (gpus)
			grant(core, walk, best, gpus, true);
		else
			close_for(core, walk, best, fit_choose(core, best, bit(gpu)),
				  KEEPS_LACKING);
	}
}

/* Voice; but not one that gave way for another and was put behind it. */
static bool goes_first(const struct core *core, const struct group *group)
{
	const struct claim *claim = claim_of_turn(group->cursor);

	return group->cls == LEASE_VOICE && mono_due(claim->rec.tag, mono_after(core->now, 1));
}

/* The next group in the order of the keys that has something open within `gpus`. */
static struct group *next_group(struct core *core, const struct walk *walk, bool voice_only,
				uint32_t gpus)
{
	struct group *best = NULL;

	list_each(it, next, &core->groups)
	{
		struct group *group = container_of(it, struct group, in_groups);
		if (!group->cursor || (voice_only && !goes_first(core, group)) ||
		    !(open_for(core, walk, claim_of_turn(group->cursor)) & gpus))
			continue;
		if (!best ||
		    order_before(claim_of_turn(group->cursor), claim_of_turn(best->cursor)))
			best = group;
	}
	return best;
}

/* What was kept for a claim is open again when it finds room elsewhere: those who were passed over
 * for it are then visited anew. */
static void visit(struct core *core, struct walk *walk, struct claim *claim, uint32_t within)
{
	bool set = claim->rec.need.gpu_count > 1; /* as a whole, wherever one of it is */
	uint32_t open = open_for(core, walk, claim) & (set ? UINT32_MAX : within);
	uint32_t gpus = open ? fit_place(core, claim, open, 0) : 0;

	if (gpus)
		grant(core, walk, claim, gpus, false);
	else if (open && !is_head(core, claim))
		close_for(core, walk, claim, fit_choose(core, claim, open), KEEPS_LACKING);
}

static void visit_next(struct core *core, struct walk *walk, struct group *group, uint32_t within)
{
	struct claim *claim = claim_of_turn(group->cursor);

	group->cursor = rank_tree_next(group->cursor);
	visit(core, walk, claim, within);
}

/* The group of another class whose first would be due before a turn of this group, which cannot be
 * cut short, were over. */
static struct group *endangered_by(const struct core *core, const struct walk *walk,
				   const struct group *group)
{
	int64_t late_ms = group->stop_ms - core->config.min_run_ms - share_handoff_ms(core);
	struct mono_ms before = mono_after(core->now, late_ms);
	const struct claim *claim = claim_of_turn(group->cursor);
	struct group *found = NULL;
	struct firsts firsts;

	if (group->need.slots == 0 || late_ms <= 0)
		return NULL;
	find_firsts(core, false, &firsts);
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
			const struct claim *first = firsts.v[gpu][cls];
			bool other = first && first->group->cls != group->cls &&
				     (open_for(core, walk, claim) & open_for(core, walk, first) &
				      bit(gpu));
			if (!other || is_big(&first->rec.need) || is_head(core, first) ||
			    !mono_before(share_due_at(core, gpu, first), before))
				continue;
			before = share_due_at(core, gpu, first);
			found = first->group;
		}
	}
	return found;
}

/* By key; but a turn that cannot be cut short begins only where it is over before another class is
 * due: else that class's first goes before it. */
static void serve_rest(struct core *core, struct walk *walk)
{
	struct group *group, *endangered;

	rewind_groups(core, true);
	while ((group = next_group(core, walk, false, UINT32_MAX))) {
		endangered = endangered_by(core, walk, group);
		visit_next(core, walk, endangered ? endangered : group, UINT32_MAX);
	}
}

static void serve_voice(struct core *core, struct walk *walk)
{
	uint32_t urgent = 0;
	struct group *group;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		urgent |= share_urgent(core, gpu) ? bit(gpu) : 0;
	rewind_groups(core, true);
	while ((group = next_group(core, walk, true, urgent)))
		visit_next(core, walk, group, urgent);
}

bool walk_once(struct core *core)
{
	struct walk walk = {.turns = schedule_open(core, false),
			    .memory = schedule_open(core, true)};
	struct firsts firsts;
	uint32_t after_voice = 0;

	core->wake = MONO_NEVER;
	walk_forget(core);
	if (list_empty(&core->groups))
		return true;
	prepare_groups(core);
	find_firsts(core, false, &firsts);
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		after_voice |= voice_is_next(core, &firsts, gpu) ? bit(gpu) : 0;
	serve_due(core, &walk, ~after_voice);
	rewind_groups(core, true);
	serve_memory(core, &walk);
	serve_voice(core, &walk);
	rewind_groups(core, true);
	serve_due(core, &walk, after_voice);
	serve_rest(core, &walk);
	rewind_groups(core, false);
	return !walk.again;
}

void walk_forget(struct core *core)
{
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++) {
		struct gpu *state = &core->gpus[gpu];
		state->turn_head = state->memory_head = 0;
		state->keeper_arrival = MONO_NEVER;
		state->head_due = false;
	}
}

static void settle_memory(struct core *core, const struct firsts *firsts, uint32_t gpu)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		struct mono_ms *since = &core->gpus[gpu].memory_since[cls];
		struct mono_ms due;
		if (!firsts->v[gpu][cls]) {
			*since = MONO_NEVER;
			continue;
		}
		*since = mono_min(*since, core->now);
		due = mono_after(*since, walk_memory_ms(core, (enum lease_class)cls));
		if (!mono_due(due, core->now))
			core->wake = mono_min(core->wake, due);
	}
}

static void settle_turns(struct core *core, const struct firsts *firsts, uint32_t gpu)
{
	struct gpu *state = &core->gpus[gpu];

	state->waiting = 0;
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		struct mono_ms due;
		if (!firsts->v[gpu][cls])
			continue;
		state->waiting |= (uint8_t)(1u << cls);
		due = share_due_at(core, gpu, firsts->v[gpu][cls]);
		if (!mono_due(due, core->now))
			core->wake = mono_min(core->wake, due);
	}
	if (firsts->v[gpu][LEASE_VOICE] && !share_urgent(core, gpu))
		core->wake = mono_min(core->wake, mono_after(core->now, core->config.min_run_ms));
}

/* Nobody waits for them. */
static void settle_empty(struct core *core, uint32_t from)
{
	for (uint32_t gpu = from; gpu < LIMIT_GPUS; gpu++) {
		core->gpus[gpu].waiting = 0;
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
			core->gpus[gpu].memory_since[cls] = MONO_NEVER;
	}
}

void walk_settle(struct core *core)
{
	uint32_t count = list_empty(&core->groups) ? 0 : core->config.gpu_count;
	struct firsts turns, memory;

	if (count > 0) {
		prepare_groups(core);
		find_firsts(core, false, &turns);
		find_firsts(core, true, &memory);
		rewind_groups(core, false);
	}
	for (uint32_t gpu = 0; gpu < count; gpu++) {
		settle_turns(core, &turns, gpu);
		settle_memory(core, &memory, gpu);
	}
	settle_empty(core, count);
	if (schedule_in_doubt(core, core->now))
		core->wake = mono_min(core->wake, core->in_doubt_until);
}
