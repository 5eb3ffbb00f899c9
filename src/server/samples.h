/* samples: how much VRAM of each GPU was granted and in use, every five seconds of the last hour.
 * For people: nothing is decided by it. Lost on a restart. */
#pragma once
#include "core/view.h"

enum {
	SAMPLES_COUNT = 720,
	SAMPLES_STEP_MS = 5000,
};

/* Names and order of GPUs stay while the broker runs, so a GPU's number is its column. */
struct samples {
	/* WATCH_UNKNOWN: not measured, or the GPU or the broker was not there */
	uint32_t granted_mb[LIMIT_GPUS][SAMPLES_COUNT];
	uint32_t used_mb[LIMIT_GPUS][SAMPLES_COUNT];
	unsigned next, count;
	int64_t newest_ms; /* monotonic, and what the machine slept besides */
};

/* Takes a sample if it is time; returns when it is time again. A machine that slept, or a broker
 * that stood still, leaves a gap of unknown samples. */
struct mono_ms samples_step(struct samples *samples, const struct core *core, struct mono_ms now,
			    int64_t suspended_ms);
/* Oldest first; both arrays have SAMPLES_COUNT places. Returns how many there are. */
size_t samples_series(const struct samples *samples, uint32_t gpu, uint32_t *ret_granted_mb,
		      uint32_t *ret_used_mb);
int64_t samples_newest_ago_ms(const struct samples *samples, struct mono_ms now,
			      int64_t suspended_ms);
