/* schedule: who is granted now. Walks groups of waiters in the order of their keys, so its cost
 * does not grow with the number of those who wait: each step grants or closes a GPU, and groups
 * whose GPUs are all closed are passed over whole. Called once at the end of each step. */
#include "core/schedule.h"

#include "core/claim.h"
#include "core/fit.h"
#include "core/host.h"
#include "core/order.h"
#include "core/preempt.h"
#include "core/tell.h"

struct walk {
	uint32_t open; /* GPUs that still may be given to whoever comes next */
	uint32_t ripe; /* of those: owed to ripe work before voice */
	bool again;    /* a kept GPU came free: begin anew; each time somebody was granted */
};

bool schedule_may_grant(const struct core *core)
{
	return core->started && !core->paused && !core->draining && core->journal_ok &&
	       !schedule_in_doubt(core, core->now);
}

bool schedule_in_doubt(const struct core *core, struct mono_ms now)
{
	return mono_before(now, core->in_doubt_until);
}

uint32_t schedule_open(const struct core *core, bool vram)
{
	uint32_t open = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		const struct gpu *state = &core->gpus[gpu];
		bool unknown =
			state->sampled && !state->used_known && core->config.gpus[gpu].vram_known;
		if (state->healthy && !(vram && unknown))
			open |= 1u << gpu;
	}
	return open;
}

static uint64_t next_fence(struct core *core)
{
	/* The block is written in this step, and so before the grant leaves. */
	if (core->fence_next > core->fence_reserved)
		core->fence_reserved = core->fence_next + FENCE_BLOCK - 1;
	POST(core->fence_next <= core->fence_reserved);
	return core->fence_next++;
}

void schedule_hold(struct core *core, struct claim *claim)
{
	PRE(claim->rec.state == CLAIM_OFFERED);
	claim->acks_missed = 0;
	claim_move(core, claim, CLAIM_HELD);
	core->stats.granted[claim->rec.cls]++;
	tell_standing(core, claim);
}

void schedule_grant(struct core *core, struct claim *claim, uint32_t gpus)
{
	uint64_t fence = next_fence(core);

	PRE(schedule_may_grant(core));
	PRE(claim->rec.state == CLAIM_QUEUED);
	PRE(mask_count(gpus) == claim->rec.need.gpu_count);
	PRE(fence > claim->rec.fence);
	if (claim->silent)
		claim_announce(core, claim);
	claim->no_wait = false; /* should it come back to the queue, it waits like any other */
	claim->rec.fence = fence;
	claim->rec.granted_mask = gpus;
	claim->deadline = mono_after(core->now, core->config.ack_ms);
	claim->rec.ttl_deadline = claim_proof(claim) == PROOF_TIME
					  ? mono_after(core->now, claim->rec.ttl_ms)
					  : MONO_NEVER;
	claim_move(core, claim, CLAIM_OFFERED);
	if (binding_of(claim->rec.binding)->ack)
		tell_standing(core, claim);
	else
		schedule_hold(core, claim);
}

static void close_for(struct core *core, struct walk *walk, struct claim *claim, uint32_t gpus)
{
	uint32_t closed = gpus & walk->open;

	PRE(closed != 0);
	walk->open &= ~closed;
	walk->ripe &= ~closed;
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		if (!(closed & (1u << gpu)))
			continue;
		core->gpus[gpu].head = claim->rec.id;
		if (!claim->no_wait)
			preempt_for(core, claim, gpu);
	}
}

/* After a voice turn, the first of the ripe gets the GPU before any voice, if it can run there now
 * or soon; otherwise its turn stays owed. A set of GPUs keeps the one that is owed to it until the
 * others are free: one by one, voice would pass it for ever. */
static void visit_ripe(struct core *core, struct walk *walk, struct claim *claim)
{
	uint32_t owed = walk->ripe & claim->mask;
	uint32_t within = claim->rec.need.gpu_count > 1 ? walk->open : owed;
	uint32_t gpus = fit_place(core, claim, within, owed);

	PRE(owed != 0);
	if (gpus & owed) {
		claim->ripe_turn = true;
		for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
			if (gpus & (1u << gpu))
				core->gpus[gpu].ripe_due = false;
		walk->ripe &= ~gpus;
		schedule_grant(core, claim, gpus);
		return;
	}
	/* A set that finds room without the owed GPU needs no turn of its own. */
	gpus = gpus ? 0 : fit_choose(core, claim, within);
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if ((gpus & owed & (1u << gpu)) && !fit_near(core, claim, gpu))
			gpus = 0;
	if (gpus & owed)
		close_for(core, walk, claim, gpus);
	else
		walk->ripe &= ~owed;
}

static uint32_t heads_of(const struct core *core, const struct claim *claim)
{
	uint32_t mask = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		mask |= core->gpus[gpu].head == claim->rec.id ? 1u << gpu : 0;
	return mask;
}

/* What was kept for a ripe turn is open again when its claim finds room elsewhere: those who were
 * passed over for it are then visited anew. */
static void visit(struct core *core, struct walk *walk, struct claim *claim)
{
	uint32_t gpus = fit_place(core, claim, walk->open, 0);
	uint32_t kept = heads_of(core, claim);

	if (gpus) {
		walk->again |= kept != 0;
		schedule_grant(core, claim, gpus);
	} else if (!kept)
		close_for(core, walk, claim, fit_choose(core, claim, walk->open));
}

/* The next waiter in order whose group has an open GPU; `open` is taken per group, since those who
 * want VRAM wait for GPUs whose use is known. */
static struct claim *next_waiter(struct core *core, bool voice, uint32_t open)
{
	uint32_t open_vram = open & schedule_open(core, true);
	struct group *best = NULL;
	struct claim *claim;

	list_each(it, next, &core->groups)
	{
		struct group *group = container_of(it, struct group, in_groups);
		if (group->voice != voice || group->detached || group->beyond || !group->cursor ||
		    !(group->mask & (group->vram ? open_vram : open)))
			continue;
		if (!best ||
		    order_before(claim_of_turn(group->cursor), claim_of_turn(best->cursor)))
			best = group;
	}
	if (!best)
		return NULL;
	claim = claim_of_turn(best->cursor);
	best->cursor = rank_tree_next(best->cursor);
	return claim;
}

static void rewind_groups(struct core *core, bool to_first)
{
	list_each(it, next, &core->groups)
	{
		struct group *group = container_of(it, struct group, in_groups);
		group->cursor = to_first ? rank_tree_first(&group->turns) : NULL;
	}
}

static uint32_t ripe_due(const struct core *core)
{
	uint32_t mask = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		mask |= core->gpus[gpu].ripe_due ? 1u << gpu : 0;
	return mask;
}

static void walk_once(struct core *core, struct walk *walk)
{
	struct claim *claim;

	core->wake = MONO_NEVER;
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
		core->gpus[gpu].head = 0;
	rewind_groups(core, true);
	while (walk->ripe && (claim = next_waiter(core, false, walk->ripe)) &&
	       order_ripe(core, claim))
		visit_ripe(core, walk, claim);
	rewind_groups(core, true);
	while ((claim = next_waiter(core, true, walk->open)))
		visit(core, walk, claim);
	while ((claim = next_waiter(core, false, walk->open)))
		visit(core, walk, claim);
	rewind_groups(core, false);
}

void schedule_run(struct core *core)
{
	uint32_t open = schedule_open(core, false);
	struct walk walk;

	core->wake = MONO_NEVER;
	for (uint32_t gpu = 0; gpu < LIMIT_GPUS; gpu++)
		core->gpus[gpu].head = 0;
	if (!schedule_may_grant(core))
		return;
	do {
		walk = (struct walk){.open = open, .ripe = open & ripe_due(core)};
		walk_once(core, &walk);
	} while (walk.again);
	host_run(core);
}
