/* vram_history: a ring of columns, one per GPU. Measures nothing itself: it asks the core what that
 * knows. Called when it is time, and for the answer. */
#include "server/monitor/vram_history.h"

#include <assert.h>

#include "core/view.h"
#include "wire/monitoring_encode.h"

enum { MIB = 1024 * 1024 };

static uint32_t whole_mb(uint64_t bytes)
{
	uint64_t mb = bytes / MIB;
	return mb < SAMPLE_UNKNOWN ? (uint32_t)mb : SAMPLE_UNKNOWN - 1;
}

static void put_sample(struct vram_history *history, const struct core *core, struct mono_ms now)
{
	struct gpu_view gpu;
	unsigned at = history->next;
	for (uint32_t i = 0; i < LIMIT_GPUS; i++) {
		bool here = core && core_gpu(core, i, &gpu);
		history->granted_mb[i][at] =
			here ? whole_mb(gpu.vram_bytes_granted) : SAMPLE_UNKNOWN;
		bool known = here && gpu.used_known && mono_before(now, gpu.used_until);
		history->used_mb[i][at] = known ? whole_mb(gpu.vram_bytes_used) : SAMPLE_UNKNOWN;
	}
	history->next = (at + 1) % VRAM_HISTORY_COUNT;
	history->count += history->count < VRAM_HISTORY_COUNT;
}

struct mono_ms vram_history_step(struct vram_history *history, const struct core *core,
				 struct mono_ms now, int64_t suspended_ms)
{
	int64_t at_ms = now.v + suspended_ms;
	int64_t steps = history->count ? (at_ms - history->newest_ms) / VRAM_HISTORY_STEP_MS : 1;
	if (steps > 0) {
		for (int64_t gap = 1; gap < steps && gap <= VRAM_HISTORY_COUNT; gap++)
			put_sample(history, NULL, now);
		history->newest_ms =
			history->count ? history->newest_ms + steps * VRAM_HISTORY_STEP_MS : at_ms;
		put_sample(history, core, now);
	}
	return mono_after(now, history->newest_ms + VRAM_HISTORY_STEP_MS - at_ms);
}

size_t vram_history_series(const struct vram_history *history, uint32_t gpu,
			   uint32_t *ret_granted_mb, uint32_t *ret_used_mb)
{
	unsigned first = (history->next + VRAM_HISTORY_COUNT - history->count) % VRAM_HISTORY_COUNT;
	assert(gpu < LIMIT_GPUS);
	for (unsigned i = 0; i < history->count; i++) {
		unsigned at = (first + i) % VRAM_HISTORY_COUNT;
		ret_granted_mb[i] = history->granted_mb[gpu][at];
		ret_used_mb[i] = history->used_mb[gpu][at];
	}
	return history->count;
}

int64_t vram_history_newest_ago_ms(const struct vram_history *history, struct mono_ms now,
				   int64_t suspended_ms)
{
	int64_t ago_ms = now.v + suspended_ms - history->newest_ms;
	return history->count && ago_ms > 0 ? ago_ms : 0;
}
