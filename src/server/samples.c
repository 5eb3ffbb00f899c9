/* samples: a ring of columns, one per GPU. Measures nothing itself: it asks the core what that
 * knows. Called by serve.c when it is time, and by watch.c for the answer. */
#include "server/samples.h"

#include <assert.h>

#include "wire/watch.h"

enum { MIB = 1024 * 1024 };

static uint32_t whole_mb(uint64_t bytes)
{
	uint64_t mb = bytes / MIB;
	return mb < WATCH_UNKNOWN ? (uint32_t)mb : WATCH_UNKNOWN - 1;
}

static void put(struct samples *samples, const struct core *core)
{
	struct gpu_view gpu;
	unsigned at = samples->next;
	for (uint32_t i = 0; i < LIMIT_GPUS; i++) {
		bool here = core && core_gpu(core, i, &gpu);
		samples->granted_mb[i][at] =
			here ? whole_mb(gpu.vram_bytes_granted) : WATCH_UNKNOWN;
		samples->used_mb[i][at] =
			here && gpu.used_known ? whole_mb(gpu.vram_bytes_used) : WATCH_UNKNOWN;
	}
	samples->next = (at + 1) % SAMPLES_COUNT;
	samples->count += samples->count < SAMPLES_COUNT;
}

struct mono_ms samples_step(struct samples *samples, const struct core *core, struct mono_ms now,
			    int64_t suspended_ms)
{
	int64_t at_ms = now.v + suspended_ms;
	int64_t steps = samples->count ? (at_ms - samples->newest_ms) / SAMPLES_STEP_MS : 1;
	if (steps > 0) {
		for (int64_t gap = 1; gap < steps && gap <= SAMPLES_COUNT; gap++)
			put(samples, NULL);
		samples->newest_ms =
			samples->count ? samples->newest_ms + steps * SAMPLES_STEP_MS : at_ms;
		put(samples, core);
	}
	return mono_after(now, samples->newest_ms + SAMPLES_STEP_MS - at_ms);
}

size_t samples_series(const struct samples *samples, uint32_t gpu, uint32_t *ret_granted_mb,
		      uint32_t *ret_used_mb)
{
	unsigned first = (samples->next + SAMPLES_COUNT - samples->count) % SAMPLES_COUNT;
	assert(gpu < LIMIT_GPUS);
	for (unsigned i = 0; i < samples->count; i++) {
		unsigned at = (first + i) % SAMPLES_COUNT;
		ret_granted_mb[i] = samples->granted_mb[gpu][at];
		ret_used_mb[i] = samples->used_mb[gpu][at];
	}
	return samples->count;
}

int64_t samples_newest_ago_ms(const struct samples *samples, struct mono_ms now,
			      int64_t suspended_ms)
{
	int64_t ago_ms = now.v + suspended_ms - samples->newest_ms;
	return samples->count && ago_ms > 0 ? ago_ms : 0;
}
