/* gpu_encode: what a probe read of a GPU, for people and programs: JSON of status, Prometheus text.
 * An unknown figure is null, or absent; it is never zero. */
#pragma once
#include <stddef.h>

#include "base/limits.h"
#include "base/mono.h"

struct text;

struct gpu_process_row {
	int64_t pid;      /* 0: not known */
	char command[32]; /* "": unknown */
	const char *use;  /* "compute", .. */
	uint64_t vram_bytes;
	bool bytes_known;
	struct mono_ms since;
	uint64_t session, lease; /* 0: works for none; has none here */
	char client[LIMIT_ID_BYTES + 1];
	const char *condition, *condition_text;       /* what is odd about it; NULL: nothing */
	char container_runtime[16], container_id[72]; /* "": in none that is known */
	int64_t container_pid;                        /* its pid in there; 0: unknown */
};

enum { GPU_CGROUPS_MAX = 16 };

/* What the cgroup of a job uses, as the kernel counts it. */
struct gpu_cgroup_row {
	uint64_t session, vram_bytes, vram_bytes_max; /* max: UINT64_MAX: no limit, or not told */
	uint64_t lease;                               /* its lease on this GPU; 0: none */
	char client[LIMIT_ID_BYTES + 1];
};

struct gpu_figures {
	bool measured; /* else the rest says nothing */
	const char *source, *state, *text;
	char detail[160]; /* the driver's words; "": none */
	char model[96], pci[32], parent[64];
	int nvml_index, cuda_index; /* -1: none */
	bool unified;
	struct mono_ms read_at; /* the newest good reading; PAST: none yet */
	bool memory_known, reserved_known, utilisation_known, temperature_known, power_known;
	uint64_t free_bytes, reserved_bytes;
	uint32_t utilisation_percent, power_mw;
	int64_t idle_ms; /* for how long it has been seen to do nothing */
	int32_t temperature_c;
	bool processes_known, processes_partial;
	bool pids_foreign; /* of another PID namespace: whose they are is not known */
	size_t process_count, left_off;
	struct gpu_process_row *processes; /* the largest first */
	size_t cgroup_count;
	struct gpu_cgroup_row cgroups[GPU_CGROUPS_MAX];
};

/* "measured":{..}. `own`: the asker may see only its own claims, so no processes. */
void gpu_encode_measured(struct text *out, const struct gpu_figures *figures, struct mono_ms now,
			 bool own);
/* `names[i]` is the name of GPU i. */
void gpu_encode_metrics(struct text *out, const struct gpu_figures *figures,
			const char *const *names, size_t count, struct mono_ms now);
