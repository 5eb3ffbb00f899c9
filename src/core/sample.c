/* sample: attributes the bytes that a probe saw. It decides nothing; the ledger counts with the
 * result. */
#include "core/sample.h"

#include <stdlib.h>

#include "base/contracts.h"
#include "base/memory.h"
#include "core/drain.h"
#include "core/event.h"
#include "core/ledger.h"
#include "core/notice.h"

static uint64_t less_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t saturating_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* What each session was seen to use, in the order of their ids. The caller frees it. */
static uint64_t *seen_by_session(const struct core *core, const struct event *event,
				 uint64_t *ret_sum)
{
	uint64_t *seen = check_memory(calloc(rank_tree_count(&core->sessions) + 1, sizeof(*seen)));

	*ret_sum = 0;

	for (uint32_t i = 0; i < event->sample.observed_count; i++) {
		const struct observed *observed = &event->sample.observed[i];
		uint64_t bytes = less_of(observed->vram_bytes, VRAM_BYTES_MAX);
		struct rank_node *node = rank_tree_from(&core->sessions, 0, observed->session);

		if (!node || node->id != observed->session)
			continue;

		seen[rank_tree_rank(node)] += bytes;
		*ret_sum += bytes;
	}
	return seen;
}

static uint64_t growth_of(const struct gpu *state, uint64_t outside)
{
	return saturating_sub(outside, state->sampled ? state->outside_base : 0);
}

/* Memory last seen with a detached client stays attributed to it, wherever it shows up, until it is
 * gone. Returns what is then unattributed. */
static uint64_t observe_sessions(struct core *core, uint32_t gpu, const uint64_t *seen,
				 uint64_t outside)
{
	uint64_t growth = growth_of(&core->gpus[gpu], outside);
	struct rank_node *node = rank_tree_first(&core->sessions);

	for (; node; node = rank_tree_next(node), seen++) {
		struct session *session = session_of_id(node);
		uint64_t before = session->vram[gpu].observed, left = 0;

		if (session->conn == 0)
			left = less_of(saturating_sub(before, *seen), growth);

		growth -= left;
		outside -= left;

		if (*seen + left != before)
			ledger_observe(core, session, gpu, *seen + left);
	}
	return outside;
}

/* Of the use attributed to no session, growth since the last reading is assumed to be that of tabs
 * and plain leases, up to what they declared, so that their bytes are not counted twice (E2). A
 * reading from before the newest such grant does not count yet. */
static void judge_outside(struct core *core, uint32_t gpu, uint64_t outside,
			  struct mono_ms measured)
{
	struct gpu *state = &core->gpus[gpu];

	if (!mono_before(measured, state->pool_since)) {
		state->vram_seen += growth_of(state, outside);
		state->outside_base = outside;
	} else {
		state->outside_base = less_of(state->outside_base, outside);
	}

	state->vram_seen = less_of(less_of(state->vram_seen, ledger_pool(core, gpu)), outside);
	state->vram_outside = outside;

	state->left_bytes = less_of(state->left_bytes, ledger_vram_unmanaged(core, gpu));
	if (ledger_vram_unmanaged(core, gpu) == 0)
		state->left_by[0] = '\0';

	POST(state->vram_seen <= state->vram_outside);
}

void sample_take(struct core *core, const struct event *event)
{
	uint32_t gpu = event->sample.gpu;
	struct gpu *state = &core->gpus[gpu];
	uint64_t used = less_of(event->sample.vram_bytes_used, VRAM_BYTES_MAX), known;
	struct mono_ms measured = event->sample.measured;
	uint64_t *seen;

	PRE(gpu < core->config.gpu_count);

	if (measured.v == 0 || mono_before(core->now, measured))
		measured = core->now;

	if (state->sampled && mono_before(measured, state->measured))
		return; /* a later one came already */

	state->healthy = event->sample.healthy;

	if (event->sample.used_known) {
		seen = seen_by_session(core, event, &known);
		judge_outside(core, gpu,
			      observe_sessions(core, gpu, seen, saturating_sub(used, known)),
			      measured);
		state->vram_used = used;
		free(seen);
	}

	state->idle_ms = event->sample.idle_ms > 0 ? event->sample.idle_ms : 0;
	state->used_known = event->sample.used_known;
	state->sampled = true;
	state->measured = measured;
	core->unsettled |= 1u << gpu;

	if (event->sample.used_known)
		drain_judge(core, event, measured);
	notice_judge(core, gpu);
}
