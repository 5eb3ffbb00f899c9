/* estimate: learns from turns and waits, and corrects a prediction (estimate_reckon.c) by how
 * earlier ones turned out: the quantiles of the ratio of actual to predicted give the quantiles of
 * the answer. So it stays right under any policy once some waits were seen. */
#include "core/estimate.h"

#include "base/contracts.h"
#include "core/claim.h"
#include "core/ledger.h"
#include "core/queue.h"
#include "core/schedule.h"
#include "core/state.h"

enum {
	FADE_MS = 120 * 1000, /* a fade of 1/32 each: a half-life of 44 minutes */
	FADES_MAX = 512,      /* then nothing is left */
	RATIO_ONE = 1 << 14,  /* in the middle of what a spread can tell apart */
	PRIOR_WAITS = 4,      /* how many waits weigh as much as the prior */
	TOLD_LEAST_MS = 100,  /* a waiter is never through at once */
};

static void fade_all(struct estimates *e)
{
	e->seen_ms -= e->seen_ms / 32;
	spread_fade(&e->leaving);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		e->grants[cls] -= (e->grants[cls] + 31) / 32;
		spread_fade(&e->waits[cls]);
		spread_fade(&e->turns[cls]);
		spread_fade(&e->stays[cls]);
	}
	for (int i = 0; i < LEASE_CLASS_COUNT * ESTIMATE_DEPTHS; i++)
		spread_fade(&e->ratios[i]);
}

static void fade_to_now(struct core *core)
{
	struct estimates *e = &core->estimates;

	for (int i = 0; i < FADES_MAX && mono_since(core->now, e->faded) >= FADE_MS; i++) {
		e->faded = mono_after(e->faded, FADE_MS);
		e->seen_ms += FADE_MS;
		fade_all(e);
	}

	if (mono_since(core->now, e->faded) >= FADE_MS)
		e->faded = core->now;
}

void estimate_disturbed(struct core *core)
{
	if (!core->started)
		core->estimates.faded = core->now;
	core->estimates.since = core->now;
}

/* For a class without one yet: the longest mean of the other classes. */
int64_t estimate_mean_hold_ms(const struct core *core, enum lease_class cls)
{
	const int64_t *mean_ms = core->estimates.mean_ms;
	int64_t most = 0;

	PRE(cls < LEASE_CLASS_COUNT);

	for (int other = 0; other < LEASE_CLASS_COUNT; other++)
		most = ms_longer(most, mean_ms[other]);

	most = mean_ms[cls] > 0 ? mean_ms[cls] : most;
	return most > 0 ? most : -1;
}

/* A guest's turn is its host's. A turn that the broker saw only in part is left out: the broker was
 * away, or learned of its end too late. */
void estimate_hold_ended(struct core *core, const struct claim *claim)
{
	struct estimates *e = &core->estimates;
	enum lease_class cls = claim->rec.cls;

	PRE(cls < LEASE_CLASS_COUNT);

	if (claim->host || claim->rec.loading || mono_before(claim->rec.turn_since, e->since))
		return;
	fade_to_now(core);

	if (claim->rec.need.slots == 0) { /* it only kept memory */
		spread_add(&e->stays[cls], mono_since(core->now, claim->rec.turn_since));
	} else {
		spread_add(&e->turns[cls], mono_since(core->now, claim->rec.turn_since));
		e->mean_ms[cls] =
			spread_rest(&e->turns[cls], 0, core->config.classes[cls].hold_ms_max);
	}

	if (mono_before(claim->rec.turn_since, claim->yield_since) &&
	    mono_before(claim->yield_since, core->now)) {
		spread_add(&e->leaving, mono_since(core->now, claim->yield_since));
		e->leaving_ms = spread_rest(&e->leaving, 0, core->config.grace_ms_max);
	}
}

static int depth_of(uint32_t ahead)
{
	return ahead == 0 ? 0 : ahead < 3 ? 1 : ahead < 7 ? 2 : 3;
}

static int ratio_at(int cls, int depth)
{
	return cls * ESTIMATE_DEPTHS + depth;
}

void estimate_wait_began(struct core *core, struct claim *claim)
{
	PRE(claim->rec.state == CLAIM_QUEUED);

	claim->yield_since = core->now;
	claim->told_depth = (uint8_t)depth_of(rank_tree_rank(&claim->place));
	claim->told_ms = 0;

	if (claim->told_depth > 0 || claim->rec.need.vram_bytes > 0 ||
	    !estimate_slots_free(core, claim))
		claim->told_ms = (uint32_t)ms_longer(
			0, ms_shorter(estimate_reckon_ms(core, claim, core->now), INT32_MAX));
}

void estimate_wait_ended(struct core *core, const struct claim *claim)
{
	struct estimates *e = &core->estimates;
	int64_t wait_ms = ms_longer(1, mono_since(core->now, claim->yield_since));

	fade_to_now(core);
	e->grants[claim->rec.cls] += claim->host ? 0 : SPREAD_ONE;

	if (mono_before(claim->yield_since, e->since))
		return;
	spread_add(&e->waits[claim->rec.cls], mono_since(core->now, claim->yield_since));

	/* A wait that was over at once, as predicted, says nothing about longer ones. */
	if (claim->told_ms > 0 && ms_longer(wait_ms, claim->told_ms) >= TOLD_LEAST_MS)
		spread_add(&e->ratios[ratio_at(claim->rec.cls, claim->told_depth)],
			   ms_shorter(wait_ms, DURATION_MS_MAX / RATIO_ONE) * RATIO_ONE /
				   claim->told_ms);
}

/* Ratios of its own class and depth weigh most; the others count a little. */
static void mix_ratios(const struct core *core, const struct claim *claim, int depth,
		       struct spread *ret_mix)
{
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		for (int other = 0; other < ESTIMATE_DEPTHS; other++) {
			bool same = cls == (int)claim->rec.cls;
			spread_mix(ret_mix, &core->estimates.ratios[ratio_at(cls, other)],
				   same && other == depth   ? 16
				   : same || other == depth ? 2
							    : 1);
		}
}

/* The quantile of the ratios, blended with a prior from the turns themselves while ratios are few:
 * turns last about as long as before, and one long turn matters less among many. */
static int64_t scale_by_ratio(int64_t ms, const struct spread *mix, unsigned per_mille,
			      int64_t guess)
{
	int64_t count = (int64_t)(spread_total(mix) / (SPREAD_ONE * 16));
	int64_t ratio = count > 0 ? spread_quantile(mix, per_mille) : guess;

	ratio = (ratio * count + guess * PRIOR_WAITS) / (count + PRIOR_WAITS);
	return ms_shorter(ms, DURATION_MS_MAX / RATIO_ONE / 1024) * ratio / RATIO_ONE;
}

static int64_t guess_p90(const struct core *core, const struct claim *claim, int depth)
{
	const struct spread *holds = &core->estimates.turns[claim->rec.cls];
	int64_t mean = spread_rest(holds, 0, DURATION_MS_MAX), most = spread_quantile(holds, 900);
	int64_t more = mean > 0 ? (most - mean) * RATIO_ONE / mean : RATIO_ONE;

	return RATIO_ONE + ms_longer(more, RATIO_ONE) * 2 / (2 + depth);
}

void core_waits(const struct core *core, enum lease_class cls, struct estimate *ret)
{
	const struct spread *waits = &core->estimates.waits[cls];

	PRE(cls < LEASE_CLASS_COUNT);
	*ret = (struct estimate){.p50_ms = spread_quantile(waits, 500),
				 .p90_ms = spread_quantile(waits, 900),
				 .samples = (uint32_t)(spread_total(waits) / SPREAD_ONE)};
}

/* Beside what strangers use it would fit nowhere, whoever left. */
static bool is_shut_out(const struct core *core, const struct claim *claim)
{
	uint64_t vram_bytes = claim->rec.need.vram_bytes;

	if (vram_bytes == 0 || claim->host)
		return false;

	mask_each (gpu, claim->mask) {
		uint64_t strange = ledger_vram_unmanaged(core, gpu) - ledger_vram_left(core, gpu);
		uint64_t room = ledger_room(core, gpu);
		if (!ledger_total_known(core, gpu) ||
		    (strange <= room && vram_bytes <= room - strange))
			return false;
	}
	return true;
}

void core_estimate(const struct core *core, uint64_t claim_id, struct mono_ms now,
		   struct estimate *ret)
{
	const struct claim *claim = claim_by_id(core, claim_id);
	struct spread mix = {0};
	int64_t reckoned_ms, bound_ms;
	int depth;

	*ret = (struct estimate){.p50_ms = -1, .p90_ms = -1};

	if (!claim || claim->rec.state != CLAIM_QUEUED || !schedule_may_grant(core) ||
	    queue_detached(claim) || queue_withheld(core, claim) || queue_oversized(core, claim) ||
	    is_shut_out(core, claim))
		return;

	reckoned_ms = estimate_reckon_ms(core, claim, now);
	if (reckoned_ms < 0)
		return;

	depth = depth_of(rank_tree_rank(&claim->place));
	mix_ratios(core, claim, depth, &mix);

	bound_ms = core_bound_ms(core, claim_id, now);
	bound_ms = bound_ms < 0 ? DURATION_MS_MAX : bound_ms;

	ret->samples =
		(uint32_t)(spread_total(&core->estimates.ratios[ratio_at(claim->rec.cls, depth)]) /
			   SPREAD_ONE);
	ret->p50_ms = ms_longer(TOLD_LEAST_MS, scale_by_ratio(reckoned_ms, &mix, 500, RATIO_ONE));
	ret->p90_ms = ms_longer(
		ret->p50_ms, scale_by_ratio(reckoned_ms, &mix, 900, guess_p90(core, claim, depth)));

	ret->p50_ms = ms_shorter(ret->p50_ms, bound_ms);
	ret->p90_ms = ms_shorter(ret->p90_ms, bound_ms);

	POST(ret->p50_ms <= ret->p90_ms);
}
