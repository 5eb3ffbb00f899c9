/* wait_bound: the longest wait that a waiter may be promised, by the theorem of docs/states.md:
 * what is known of those ahead, and the worst that later arrivals may do. It decides nothing.
 * Computed when a claim queues; the first promise stays. */
#include "core/wait_bound.h"

#include "base/contracts.h"
#include "core/ledger.h"
#include "core/lost_waiters.h"
#include "core/placement.h"
#include "core/queue.h"
#include "core/resident.h"
#include "core/schedule.h"
#include "core/shares.h"
#include "core/view.h"
#include "core/yield.h"

/* No promise is longer: nobody plans that far, and sums stay far from overflow. */
#define PROMISE_MS_MAX ((int64_t)1 << 40)
/* Allowance for the broker's own loop between all those deadlines. */
#define PROMISE_SLACK_MS 1000

static int64_t capped_product(int64_t a, int64_t b)
{
	int64_t product;

	PRE(a >= 0);
	PRE(b >= 0);
	if (__builtin_mul_overflow(a, b, &product))
		return PROMISE_MS_MAX;
	return ms_shorter(product, PROMISE_MS_MAX);
}

/* A claim that waits, or holds and may come back, may keep what is free here until it has all that
 * it needs. Later arrivals keep nothing from claims that already wait. */
static bool big_is_here(const struct core *core, uint32_t gpu)
{
	list_each (it, next, &core->groups) {
		const struct group *group = container_of(it, struct group, in_groups);
		if (need_is_big(core, &group->need) && (group->mask & (1u << gpu)) &&
		    rank_tree_count(&group->turns) > 0)
			return true;
	}

	for (uint32_t other = 0; other < core->config.gpu_count; other++)
		gpu_holders (holder, core, other, HOLDER_COMPUTES)
			if (need_is_big(core, &holder->rec.need) && (holder->mask & (1u << gpu)))
				return true;
	return false;
}

/* How long a turn of several slots, or a set, may keep what is free. */
static int64_t keep_ms(const struct core *core, uint32_t gpu)
{
	int64_t slots = core->config.gpus[gpu].slots;
	int64_t each_ms = share_run_ms(core) + share_handoff_ms(core);

	if (!big_is_here(core, gpu))
		return slots > 1 ? capped_product(slots - 1, each_ms) : 0;

	return capped_product(slots, each_ms) + core_hold_ms_max(&core->config) +
	       core->config.grace_ms_max + share_handoff_ms(core);
}

/* The longest due turn, with hand-off, that another class may have within so long: never longer
 * than its lag pays for. */
static int64_t due_turn_ms(const struct core *core, uint32_t gpu, int cls, int64_t within_ms)
{
	const struct class_config *class = &core->config.classes[cls];
	int64_t lag_ms = ms_longer(0, share_lag_ms(core, gpu, (enum lease_class)cls));
	int64_t paid_ms = lag_ms + capped_product(class->share_permille, within_ms) / 1000;
	int64_t most_ms = ms_longer(class->hold_ms_max, core->config.grace_ms_max);
	int64_t least_ms = ms_longer(core->config.quantum_ms, core->config.ack_ms);
	int64_t turn_ms = ms_longer(least_ms, ms_shorter(paid_ms, most_ms));

	return turn_ms + share_handoff_ms(core) + keep_ms(core, gpu);
}

/* One claim's whole turn, cut into pieces by classes that are due. */
static int64_t turn_work_ms(const struct core *core, uint32_t gpu, const struct claim *claim,
			    int64_t left_ms)
{
	int64_t quantum_ms = ms_longer(1, core->config.quantum_ms);
	int64_t pieces = (left_ms + quantum_ms - 1) / quantum_ms;
	bool big = need_is_big(core, &claim->rec.need);

	return left_ms + capped_product(ms_longer(1, pieces),
					share_handoff_ms(core) + (big ? keep_ms(core, gpu) : 0));
}

static int64_t left_ms(const struct core *core, const struct claim *holder)
{
	int64_t most_ms = core->config.classes[holder->turn_cls].hold_ms_max;

	if (holder->rec.loading && holder->rec.preemptible)
		most_ms += core->config.load_ms_max;
	return ms_longer(0, most_ms - ms_longer(0, claim_turn_ms(core, holder)));
}

static uint32_t ahead_in(const struct group *group, const struct claim *claim)
{
	struct rank_node *node = rank_tree_from(&group->turns, claim->key.v, claim->rec.id);

	return node ? rank_tree_rank(node) : rank_tree_count(&group->turns);
}

/* W: all claims of its class ahead of it or holding, each for as long as it may. */
static int64_t work_ahead_ms(const struct core *core, uint32_t gpu, const struct claim *claim)
{
	int64_t most_ms = core->config.classes[claim->rec.cls].hold_ms_max, sum;
	enum lease_class cls = claim->rec.cls;
	uint32_t loads;

	/* Lost places may be reclaimed; holders that yield may requeue, also from another GPU. */
	sum = capped_product(lost_waiters_count(core, cls, &loads),
			     turn_work_ms(core, gpu, claim, most_ms));
	sum += capped_product(loads + core->loads[cls],
			      turn_work_ms(core, gpu, claim, core->config.load_ms_max));

	for (uint32_t other = 0; other < core->config.gpu_count; other++)
		gpu_holders (holder, core, other, HOLDER_COMPUTES)
			if (holder->turn_cls == cls && (holder->mask & (1u << gpu)))
				sum += turn_work_ms(core, gpu, holder, left_ms(core, holder));

	list_each (it, next, &core->groups) {
		const struct group *group = container_of(it, struct group, in_groups);
		const struct claim *first = claim_of_turn(rank_tree_first(&group->turns));

		if (!first || group->cls != cls || !(group->mask & (1u << gpu)))
			continue;
		sum += capped_product(ahead_in(group, claim),
				      turn_work_ms(core, gpu, first, most_ms));
	}

	return ms_shorter(sum, PROMISE_MS_MAX);
}

/* From now until this holder's turn can go to a due class, or to voice. */
static int64_t leave_ms(const struct core *core, const struct claim *holder)
{
	int64_t grace_ms = yield_grace_ms(core, holder);
	int64_t run_ms = share_run_ms(core);

	if (holder->rec.state == CLAIM_YIELDING)
		return ms_longer(0, mono_since(holder->deadline, core->now)) +
		       share_free_ms(core, holder);

	if (!holder->rec.preemptible)
		run_ms = ms_longer(run_ms, left_ms(core, holder) - share_early_ms(core, holder));

	run_ms = ms_longer(run_ms, mono_since(share_protected_until(core, holder), core->now));
	return run_ms + grace_ms + share_free_ms(core, holder);
}

static int64_t leave_all_ms(const struct core *core, uint32_t gpu)
{
	int64_t most_ms = 0;

	gpu_holders (holder, core, gpu, HOLDER_COMPUTES)
		most_ms = ms_longer(most_ms, leave_ms(core, holder));
	return most_ms;
}

/* What may still run, without being due itself, when the class becomes due: an uninterruptible turn
 * only if it began before the claim came, or in slots that the others could not use. */
static int64_t blocking_ms(const struct core *core, uint32_t gpu, const struct claim *claim,
			   int64_t due_in_ms)
{
	int64_t usual_ms = share_run_ms(core) + share_handoff_ms(core);
	int64_t present_ms = leave_all_ms(core, gpu) - due_in_ms;
	int64_t most_ms = 0;

	if (need_is_big(core, &claim->rec.need))
		most_ms = core_hold_ms_max(&core->config) + share_handoff_ms(core);

	return ms_longer(usual_ms, ms_longer(present_ms, most_ms)) + keep_ms(core, gpu);
}

/* Once its class is due, its turn comes after those that were due earlier: at most one of each
 * other class, as each is owed time at its share only. */
static int64_t delay_ms(const struct core *core, uint32_t gpu, const struct claim *claim,
			int64_t due_in_ms)
{
	int64_t voice_ms = ms_longer(core->config.classes[LEASE_VOICE].hold_ms_max,
				     core->config.grace_ms_max) +
			   share_handoff_ms(core);
	int64_t fixed_ms =
		blocking_ms(core, gpu, claim, due_in_ms) + core->config.voice_credit_ms + voice_ms;
	int64_t sum_ms = 0, before_ms = -1;

	/* The longer it takes, the longer the others' turns may be; a few rounds reach the fixed
	 * point. */
	for (int round = 0; round < 16 && sum_ms != before_ms; round++) {
		before_ms = sum_ms;
		sum_ms = 0;
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
			if (cls != (int)claim->rec.cls)
				sum_ms += due_turn_ms(core, gpu, cls,
						      due_in_ms + fixed_ms + before_ms);
	}

	return fixed_ms + sum_ms;
}

static int64_t by_share_ms(const struct core *core, uint32_t gpu, const struct claim *claim)
{
	const struct class_config *class = &core->config.classes[claim->rec.cls];
	int64_t debt_ms = SHARE_DEBT_MS, work_ms = work_ahead_ms(core, gpu, claim), due_in_ms;

	if (claim->rec.cls == LEASE_VOICE)
		debt_ms += core->config.voice_credit_ms;

	if (work_ms == 0) /* no other claim of its class uses anything meanwhile */
		debt_ms = ms_shorter(debt_ms,
				     ms_longer(0, -share_lag_ms(core, gpu, claim->rec.cls)) + 1);

	due_in_ms = capped_product(work_ms + share_turn_ms(core, claim) + debt_ms, 1000) /
		    class->share_permille;
	return due_in_ms + delay_ms(core, gpu, claim, due_in_ms);
}

/* How many turns the other classes may be owed within so long. */
static int64_t dues_within(const struct core *core, uint32_t gpu, int64_t within_ms)
{
	int64_t count = 0;

	for (int cls = LEASE_CHAT; cls < LEASE_CLASS_COUNT; cls++) {
		int64_t owed_ms =
			ms_longer(0, share_lag_ms(core, gpu, (enum lease_class)cls)) +
			capped_product(core->config.classes[cls].share_permille, within_ms) / 1000;
		count += owed_ms / ms_longer(1, core->config.quantum_ms);
	}
	return count;
}

/* Voice within its credit: at once, except for turns that others are owed; that is one if no voice
 * is ahead. -1: its credit does not cover the voices ahead. */
static int64_t by_credit_ms(const struct core *core, uint32_t gpu, const struct claim *claim)
{
	int64_t work_ms = work_ahead_ms(core, gpu, claim);
	int64_t between_ms = share_run_ms(core) + share_handoff_ms(core);
	int64_t wait_ms = 0, before_ms = -1, dues = 0;

	for (int round = 0; round < 16 && wait_ms != before_ms; round++) {
		int64_t turn_ms = 0;
		before_ms = wait_ms;

		for (int cls = LEASE_CHAT; cls < LEASE_CLASS_COUNT; cls++)
			turn_ms = ms_longer(turn_ms, due_turn_ms(core, gpu, cls, wait_ms));

		dues = work_ms == 0 ? 1 : 1 + dues_within(core, gpu, wait_ms);
		wait_ms = leave_all_ms(core, gpu) + work_ms + keep_ms(core, gpu) +
			  capped_product(dues, turn_ms) + capped_product(dues - 1, between_ms);
	}

	if (wait_ms != before_ms ||
	    share_lag_ms(core, gpu, LEASE_VOICE) - work_ms - dues * between_ms <=
		    -core->config.voice_credit_ms)
		return -1;
	return wait_ms;
}

/* It asks on one of its GPUs at a time, where somebody is gone first. Where that room goes to a
 * class that became due meanwhile it has lost so long, once on each. */
static int64_t detours_ms(const struct core *core, uint32_t gpu, uint32_t gpus, int64_t within_ms)
{
	int64_t usual_ms = share_run_ms(core) + share_handoff_ms(core);
	int64_t here_ms = ms_longer(usual_ms, leave_all_ms(core, gpu));
	int64_t sum_ms = 0;

	mask_each (other, gpus & ~(1u << gpu))
		if (dues_within(core, other, within_ms) > 0)
			sum_ms +=
				ms_longer(usual_ms, ms_shorter(here_ms, leave_all_ms(core, other)));
	return sum_ms;
}

static int64_t on_gpu_ms(const struct core *core, uint32_t gpu, uint32_t gpus,
			 const struct claim *claim)
{
	int64_t wait_ms = by_share_ms(core, gpu, claim);
	int64_t credit_ms = claim->rec.cls == LEASE_VOICE ? by_credit_ms(core, gpu, claim) : -1;

	if (credit_ms >= 0)
		wait_ms = ms_shorter(credit_ms, wait_ms);
	return wait_ms + detours_ms(core, gpu, gpus, wait_ms);
}

static uint32_t possible_now(const struct core *core, const struct claim *claim)
{
	return placement_possible_gpus(core, claim->session, &claim->rec.need, claim->mask);
}

/* Whom nobody asks to leave has part of it: what is promised counts on the whole. */
static bool is_pinned(const struct core *core, uint32_t gpus)
{
	mask_each (gpu, gpus)
		if (core->gpus[gpu].pinned_slots > 0)
			return true;
	return false;
}

/* What it uses may have to leave before its turn, and be waited for again. */
static bool may_lose_resident(const struct core *core, const struct claim *claim)
{
	const struct claim *resident = resident_used(core, &claim->rec);

	return claim->rec.uses && (!resident || placement_can_leave(resident));
}

enum bound_none wait_bound_none(const struct core *core, const struct claim *claim)
{
	if (!schedule_may_grant(core) || queue_withheld(core, claim))
		return BOUND_STOPPED;
	if (queue_detached(claim))
		return BOUND_DETACHED;
	if (claim->host)
		return BOUND_HOST;

	if (is_pinned(core, claim->mask))
		return BOUND_OBSERVED;
	if (queue_oversized(core, claim) || possible_now(core, claim) == 0)
		return BOUND_BLOCKED;

	if (claim->rec.need.vram_bytes > 0 || may_lose_resident(core, claim))
		return BOUND_MEMORY;
	if (claim->rec.need.gpu_count > 1)
		return BOUND_SET;

	if (mono_before(mono_after(core->now, 1), claim->rec.tag))
		return BOUND_OWN;
	return BOUND_GIVEN;
}

void wait_bound_promise(struct core *core, struct claim *claim)
{
	int64_t best_ms = PROMISE_MS_MAX;
	uint32_t gpus;

	PRE(claim->rec.state == CLAIM_QUEUED);

	if (claim->promise.v != INT64_MAX || wait_bound_none(core, claim) != BOUND_GIVEN)
		return;

	gpus = possible_now(core, claim);
	mask_each (gpu, gpus)
		best_ms = ms_shorter(best_ms, on_gpu_ms(core, gpu, gpus, claim));

	if (best_ms < PROMISE_MS_MAX)
		claim->promise = mono_after(core->now, best_ms + PROMISE_SLACK_MS);
}

void wait_bound_promise_all(struct core *core)
{
	core->queue_changed = true;
	for (struct rank_node *node = rank_tree_first(&core->places); node;
	     node = rank_tree_next(node)) {
		claim_of_place(node)->promise = MONO_NEVER;
		wait_bound_promise(core, claim_of_place(node));
	}
}

void wait_bound_promise_on(struct core *core, uint32_t gpus)
{
	PRE(gpus != 0);
	for (struct rank_node *node = rank_tree_first(&core->places); node;
	     node = rank_tree_next(node))
		if (claim_of_place(node)->mask & gpus)
			wait_bound_promise(core, claim_of_place(node));
}
