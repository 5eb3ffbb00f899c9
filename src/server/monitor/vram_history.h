/* vram_history: how much VRAM of each GPU was granted and in use, every five seconds of the last
 * hour. For people: nothing is decided by it. Lost on a restart. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/mono.h"

struct core;

enum {
	VRAM_HISTORY_COUNT = 720,
	VRAM_HISTORY_STEP_MS = 5000,
};

/* Names and order of GPUs stay while the broker runs, so a GPU's number is its column. */
struct vram_history {
	/* SAMPLE_UNKNOWN: not measured, or the GPU or the broker was not there */
	uint32_t granted_mb[LIMIT_GPUS][VRAM_HISTORY_COUNT];
	uint32_t used_mb[LIMIT_GPUS][VRAM_HISTORY_COUNT];
	unsigned next, count;
	int64_t newest_ms; /* monotonic, and what the machine slept besides */
};

/* Takes a sample if it is time; returns when it is time again. A machine that slept, or a broker
 * that stood still, leaves a gap of unknown samples. */
struct mono_ms vram_history_step(struct vram_history *history, const struct core *core,
				 struct mono_ms now, int64_t suspended_ms);
/* Oldest first; both arrays have VRAM_HISTORY_COUNT places. Returns how many there are. */
size_t vram_history_series(const struct vram_history *history, uint32_t gpu,
			   uint32_t *ret_granted_mb, uint32_t *ret_used_mb);
int64_t vram_history_newest_ago_ms(const struct vram_history *history, struct mono_ms now,
				   int64_t suspended_ms);
