/* estimate_reckon: predicts a wait from what is known now: the holders, the waiters ahead and those
 * expected to overtake. Keeps nothing. */
#include "core/estimate.h"
#include "core/ledger.h"
#include "core/preempt.h"
#include "core/queue.h"
#include "core/resident.h"

enum {
	LOOKED_AT_MAX = 32,       /* the rest are assumed to be like them */
	SEEN_LEAST_MS = 5 * 1000, /* a rate needs some time */
	MANY_TIMES = 16,          /* at most so many times the base wait, whoever overtakes */
};

struct reckoning {
	int64_t work_ms;          /* turns before it, over the slots that it could use */
	int64_t slots, slots_all; /* it could use; there are */
	uint32_t ahead;
};

/* It keeps memory only, for as long as a model stays loaded; otherwise it is a turn. */
static bool is_resident(const struct claim *claim)
{
	return claim->rec.need.slots == 0;
}

static int64_t rest_ms(const struct core *core, const struct claim *holder, int64_t past_ms,
		       int64_t most_ms)
{
	const struct estimates *e = &core->estimates;
	enum lease_class cls = holder->rec.cls;
	const struct spread *holds = is_resident(holder) ? &e->stays[cls] : &e->turns[cls];
	int64_t mean_ms = is_resident(holder) ? spread_rest(holds, 0, most_ms)
					      : estimate_mean_hold_ms(core, cls);
	int64_t rest;

	if (past_ms == 0 || mean_ms < 0)
		return ms_shorter(mean_ms, most_ms);

	rest = spread_rest(holds, past_ms, most_ms);
	if (rest >= 0)
		return rest;

	/* Longer than any before: assume half as long again. */
	return ms_shorter(ms_longer(mean_ms - past_ms, past_ms / 2), most_ms);
}

static int64_t leaving_ms(const struct core *core, int64_t past_ms)
{
	const struct estimates *e = &core->estimates;
	int64_t rest = past_ms == 0 ? e->leaving_ms
				    : spread_rest(&e->leaving, past_ms, core->config.grace_ms_max);

	return rest > 0 ? rest : core->config.grace_ms;
}

/* How much longer this holder keeps its capacity once the waiter wants it. */
static int64_t left_ms(const struct core *core, const struct claim *claim,
		       const struct claim *holder, uint32_t gpu, struct mono_ms now)
{
	int64_t most = core->config.classes[holder->rec.cls].hold_ms_max + leaving_ms(core, 0);
	int64_t past = ms_longer(0, mono_since(now, holder->rec.turn_since));
	struct mono_ms when = MONO_NEVER;
	enum yield_reason reason;

	if (holder->rec.state == CLAIM_YIELDING || holder->rec.state == CLAIM_DRAINING)
		most = ms_shorter(
			ms_longer(0, mono_since(holder->deadline, now)),
			leaving_ms(core, ms_longer(0, mono_since(now, holder->yield_since))));
	else if (is_resident(holder))
		when = resident_leaves_at(core, claim, holder);
	else
		when = preempt_when(core, claim, holder, gpu, &reason);

	if (when.v != INT64_MAX)
		most = ms_longer(0, mono_since(when, now)) + leaving_ms(core, 0);

	return rest_ms(core, holder, past, most);
}

/* Until the first holder of this kind leaves; a set of GPUs waits for the last. False: nothing is
 * known about them. */
static bool add_holders(const struct core *core, const struct claim *claim, struct mono_ms now,
			enum holder_kind kind, struct reckoning *r)
{
	int64_t soonest = DURATION_MS_MAX, latest = 0;
	int looked_at = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		const struct claim *holder = NULL;
		if (claim->mask & (1u << gpu))
			holder = ledger_holder_after(core, gpu, kind, 0);
		for (; holder && looked_at++ < LOOKED_AT_MAX;
		     holder = ledger_holder_next(holder, gpu)) {
			int64_t left = left_ms(core, claim, holder, gpu, now);
			if (left < 0)
				return false;
			soonest = ms_shorter(soonest, left);
			latest = ms_longer(latest, left);
		}
	}

	r->work_ms =
		(claim->rec.need.gpu_count > 1 ? latest : ms_shorter(soonest, latest)) * r->slots;
	return true;
}

/* How much of the shared GPUs its turn takes, if it could run on any of its own. */
static int64_t slots_shared(const struct core *core, const struct claim *other, uint32_t shared)
{
	const struct need *need = &other->rec.need;
	int64_t slots = 0;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		slots += shared & (1u << gpu) ? need_slots(core, need, gpu) : 0;
	return slots * need->gpu_count;
}

static bool add_ahead(const struct core *core, const struct claim *claim, struct reckoning *r)
{
	struct rank_node *node = rank_tree_first(&core->places);
	int64_t work = 0, mean_ms;
	uint32_t looked_at = 0;

	for (; node && node != &claim->place && looked_at < LOOKED_AT_MAX;
	     node = rank_tree_next(node), looked_at++) {
		const struct claim *other = claim_of_place(node);
		uint32_t shared = other->mask & claim->mask;
		if (shared == 0 || other->rec.need.slots == 0 || other->host ||
		    queue_detached(other))
			continue;

		mean_ms = estimate_mean_hold_ms(core, other->rec.cls);
		if (mean_ms < 0)
			return false;
		work += mean_ms * slots_shared(core, other, shared) / mask_count(other->mask);
	}

	if (looked_at == LOOKED_AT_MAX)
		work = work * r->ahead / LOOKED_AT_MAX;
	r->work_ms += work;
	return true;
}

/* The load of a class in 1024ths: the fraction of time taken by its turns. */
static int64_t load_of(const struct core *core, int cls, const struct reckoning *r,
		       struct mono_ms now)
{
	const struct estimates *e = &core->estimates;
	int64_t seen_ms = e->seen_ms + ms_longer(0, mono_since(now, e->faded)) + SEEN_LEAST_MS;

	return (int64_t)(e->grants[cls] * 1024 / SPREAD_ONE) *
	       ms_longer(0, estimate_mean_hold_ms(core, (enum lease_class)cls)) /
	       (seen_ms * r->slots_all);
}

/* More urgent claims overtake it until its key is reached; voice always does. */
static int64_t with_passers(const struct core *core, const struct claim *claim, struct mono_ms now,
			    const struct reckoning *r)
{
	int64_t base = r->work_ms / r->slots, wait = base;
	int64_t load[LEASE_CLASS_COUNT], window[LEASE_CLASS_COUNT];

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		int64_t offset = core->config.classes[cls].offset_ms;
		load[cls] = cls < (int)claim->rec.cls ? load_of(core, cls, r, now) : 0;
		window[cls] = cls == LEASE_VOICE
				      ? DURATION_MS_MAX
				      : ms_longer(0, mono_since(claim->key, now) - offset);
	}

	for (int round = 0; round < 8; round++) {
		int64_t more = 0;
		for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
			more += load[cls] * ms_shorter(wait, window[cls]) / 1024;
		wait = ms_shorter(base + more, base * MANY_TIMES);
	}
	return wait;
}

bool estimate_slots_free(const struct core *core, const struct claim *claim)
{
	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++)
		if ((claim->mask & (1u << gpu)) && ledger_turn_fits(core, claim, gpu))
			return true;
	return false;
}

int64_t estimate_reckon_ms(const struct core *core, const struct claim *claim, struct mono_ms now)
{
	struct reckoning r = {.ahead = rank_tree_rank(&claim->place)};
	bool memory = claim->rec.need.slots == 0 || estimate_slots_free(core, claim);
	enum holder_kind kind = memory ? HOLDER_KEEPS : HOLDER_COMPUTES;

	for (uint32_t gpu = 0; gpu < core->config.gpu_count; gpu++) {
		r.slots_all += core->config.gpus[gpu].slots;
		if (claim->mask & (1u << gpu))
			r.slots += core->config.gpus[gpu].slots;
	}

	if (r.slots == 0 || claim->host) /* how long guests stay is not recorded */
		return -1;

	if (!add_holders(core, claim, now, kind, &r) || !add_ahead(core, claim, &r))
		return -1;
	return with_passers(core, claim, now, &r);
}
