/* schedule: whether anything may be granted, the grant itself, and passes over the queue until one
 * changes nothing, once at the end of each step. */
#include "core/schedule.h"

#include "base/contracts.h"
#include "core/claim.h"
#include "core/emit.h"
#include "core/host.h"
#include "core/ledger.h"
#include "core/observe.h"
#include "core/placement.h"
#include "core/preempt.h"
#include "core/queue.h"
#include "core/walk.h"

bool schedule_may_grant(const struct core *core)
{
	return core->started && !core->paused && !core->draining && core->journal_ok &&
	       !schedule_in_doubt(core, core->now);
}

bool schedule_in_doubt(const struct core *core, struct mono_ms now)
{
	return !core->config.observe && mono_before(now, core->in_doubt_until);
}

uint32_t schedule_open(const struct core *core, bool vram)
{
	uint32_t open = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		if (core->gpus[gpu].healthy && !(vram && !ledger_vram_known(core, gpu)))
			open |= 1u << gpu;
	}
	return open;
}

static uint64_t next_fence(struct core *core)
{
	/* The block is journaled in this step, and so before the grant is sent. */
	if (core->fence_next > core->fence_reserved)
		core->fence_reserved = core->fence_next + FENCE_BLOCK - 1;
	POST(core->fence_next <= core->fence_reserved);
	return core->fence_next++;
}

void schedule_hold(struct core *core, struct claim *claim)
{
	PRE(claim->rec.state == CLAIM_OFFERED);

	claim_move(core, claim, claim->rec.loads ? CLAIM_LOADING : CLAIM_HELD);
	core->stats.granted[claim->rec.cls]++;
	core->stats.would_wait[claim->rec.cls] += claim->rec.would_wait;
	emit_standing(core, claim);
}

void schedule_grant(struct core *core, struct claim *claim, uint32_t gpus)
{
	uint64_t fence = next_fence(core);

	PRE(schedule_may_grant(core));
	PRE(!queue_withheld(core, claim));
	PRE(claim->rec.state == CLAIM_QUEUED);
	PRE(mask_count(gpus) == claim->rec.need.gpu_count);
	PRE(fence > claim->rec.fence);

	if (claim->silent)
		claim_announce(core, claim);
	claim->room_made = false;
	claim->no_wait = false; /* should it come back to the queue, it waits like any other */

	claim->rec.fence = fence;
	claim->rec.granted_mask = gpus;
	claim->rec.observed = core->config.observe;
	if (core->config.observe && claim->host)
		claim->rec.would_wait = host_lacks_memory(core, claim, gpus);
	claim->turn_cls = claim->rec.cls;

	claim->deadline = mono_after(core->now, core->config.ack_ms);
	claim->rec.ttl_deadline = claim_proof(claim) == PROOF_TIME
					  ? mono_after(core->now, claim->rec.ttl_ms)
					  : MONO_NEVER;

	claim_move(core, claim, CLAIM_OFFERED);
	if (claim->rec.would_wait)
		observe_collided(core, claim);

	if (binding_of(claim->rec.binding)->ack && claim != core->accepted)
		emit_standing(core, claim);
	else
		schedule_hold(core, claim);
}

static void serve_all(struct core *core)
{
	bool again = true;

	while (again && schedule_may_grant(core)) {
		again = !walk_once(core);
		again |= placement_settle(core);
	}

	if (schedule_may_grant(core) && core->config.observe)
		observe_rest(core);
}

void schedule_run(struct core *core)
{
	core->wake = MONO_NEVER;

	placement_settle(core);
	walk_forget(core);

	/* Whoever is silent and in the way leaves only when that is looked for: then others may
	 * have become possible. */
	do {
		serve_all(core);
		if (schedule_may_grant(core))
			preempt_heads(core);
	} while (placement_settle(core) && schedule_may_grant(core));
	walk_settle(core);

	if (schedule_may_grant(core))
		host_run(core);
}
