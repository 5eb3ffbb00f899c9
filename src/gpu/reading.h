/* reading: what a source read of a GPU. Every figure has a bit that says whether it is known: an
 * unknown one is never zero. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "gpu/device.h"

enum { GPU_FAULT_BYTES = 159 };

/* Bits of gpu_reading.known. */
enum gpu_figure {
	GPU_MEMORY = 1,   /* total, used, free */
	GPU_TOTAL = 2,    /* total alone */
	GPU_RESERVED = 4, /* by the driver, in none of used and free */
	GPU_UTILISATION = 8,
	GPU_TEMPERATURE = 16,
	GPU_POWER = 32,
	GPU_PROCESSES = 64,
};

enum gpu_use { GPU_COMPUTE, GPU_GRAPHICS, GPU_MPS, GPU_DRM, GPU_USE_COUNT };

struct gpu_process {
	int64_t pid; /* 0: not known */
	uint64_t vram_bytes;
	bool bytes_known;
	enum gpu_use use;
};

/* What a job's cgroup uses of the GPU, as its driver counts. */
struct gpu_cgroup {
	char path[LIMIT_CGROUP_BYTES + 1];
	uint64_t vram_bytes, vram_bytes_max;
};

struct gpu_reading {
	enum gpu_state state;
	uint32_t known; /* bits of enum gpu_figure */
	uint64_t total_bytes, used_bytes, free_bytes, reserved_bytes;
	uint32_t utilisation_percent, power_mw;
	int32_t temperature_c;
	bool processes_partial; /* some may not be looked at: they are of others */
	size_t process_count;
	struct gpu_process *processes; /* owned; gpu_reading_finish */
	size_t cgroup_count;
	struct gpu_cgroup *cgroups;      /* owned; of those that were asked for */
	char fault[GPU_FAULT_BYTES + 1]; /* GPU_FAILED: the driver's words */
};

/* Grows the list by one, zeroed. Aborts on allocation failure. */
struct gpu_process *gpu_reading_add(struct gpu_reading *reading);
/* NULL: not told. */
const struct gpu_cgroup *gpu_reading_cgroup(const struct gpu_reading *reading, const char *path);
void gpu_reading_finish(struct gpu_reading *reading);
