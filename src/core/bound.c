/* bound: the longest that a waiter can still wait, by the theorems of CASES.md G. For
 * people: no decision is taken by it. */
#include "core/claim.h"
#include "core/fit.h"
#include "core/memory.h"
#include "core/order.h"
#include "core/schedule.h"
#include "core/view.h"

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* N: all who could come before it; lost places that may come back count too. */
static int64_t outstanding(const struct core *core)
{
	int64_t count = memory_count(core);

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		count += core->outstanding[cls];
	return count;
}

/* H: the longest turn of any class that is there. */
static int64_t hold_ms(const struct core *core)
{
	int64_t most = 0;

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		if (core->outstanding[cls] > 0)
			most = larger(most, core->config.classes[cls].hold_ms_max);
	return most;
}

/* G: a holder may answer `yielding` until grace_ms_max. S: from there to the next grant. */
static int64_t handoff_ms(const struct core *core)
{
	const struct core_config *config = &core->config;
	int64_t stop_ms = config->lock_delay_ms;
	int64_t grace_ms = larger(config->grace_ms_max, config->grace_ms);

	if (core->outstanding_native > 0)
		stop_ms = larger(stop_ms, config->grace_ms + config->kill_wait_ms);
	return grace_ms + stop_ms + ACKS_MISSED_MAX * config->ack_ms + 100;
}

static int64_t offset_min_ms(const struct core *core)
{
	int64_t least = core->config.classes[LEASE_CHAT].offset_ms;

	for (int cls = LEASE_CHAT; cls < LEASE_CLASS_COUNT; cls++)
		if (core->config.classes[cls].offset_ms < least)
			least = core->config.classes[cls].offset_ms;
	return least;
}

static int64_t voice_holders(const struct core *core)
{
	int64_t count = 0;

	for (struct rank_node *node = rank_tree_first(&core->holders); node;
	     node = rank_tree_next(node))
		count += claim_of_place(node)->rec.cls == LEASE_VOICE;
	return count;
}

/* Theorem 3. A holder that may not be preempted runs its whole turn. */
static int64_t bound_voice(const struct core *core, const struct claim *claim)
{
	int64_t quantum = core->config.quantum_ms;
	int64_t hold = core->config.classes[LEASE_VOICE].hold_ms_max;
	int64_t handoff = handoff_ms(core);
	int64_t ahead = rank_tree_rank(&claim->place) + voice_holders(core);

	if (core->outstanding_firm > 0)
		quantum = larger(quantum, hold_ms(core));
	return quantum + 2 * handoff + ahead * (hold + quantum + 2 * handoff);
}

/* Theorem 1 without voice, theorem 2 with it. */
static int64_t bound_other(const struct core *core, const struct claim *claim, struct mono_ms now)
{
	int64_t hold = hold_ms(core), handoff = handoff_ms(core), count = outstanding(core);
	int64_t quantum = larger(core->config.quantum_ms, 1);
	int64_t ripe_ms = larger(0, mono_since(claim->key, now));
	int64_t turns = (hold + quantum - 1) / quantum;

	if (core->outstanding[LEASE_VOICE] == 0)
		return larger(0, ripe_ms - offset_min_ms(core)) + count * (hold + handoff);
	return ripe_ms +
	       count * turns *
		       (quantum + core->config.classes[LEASE_VOICE].hold_ms_max + 2 * handoff);
}

static bool voided(const struct core *core, const struct claim *claim)
{
	uint32_t open = claim->mask & schedule_open(core, claim->rec.need.vram_bytes > 0);
	uint32_t possible = 0;

	if (!schedule_may_grant(core) || order_detached(claim) || claim->host ||
	    order_beyond(core, claim))
		return true;
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if (open & (1u << gpu))
			possible += fit_possible(core, claim, gpu);
	return possible < claim->rec.need.gpu_count;
}

int64_t core_bound_ms(const struct core *core, uint64_t claim_id, struct mono_ms now)
{
	const struct claim *claim = claim_by_id(core, claim_id);

	if (!claim || claim->rec.state != CLAIM_QUEUED || voided(core, claim))
		return -1;
	if (claim->rec.cls == LEASE_VOICE)
		return bound_voice(core, claim);
	return bound_other(core, claim, now);
}
