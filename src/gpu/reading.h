/* reading: a GPU as a source found it, and what was read of it. Every figure has a bit that says
 * whether it is known: an unknown one is never zero. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GPU_UUID_BYTES = 63, GPU_PCI_BYTES = 31, GPU_MODEL_BYTES = 95, GPU_FAULT_BYTES = 159 };

struct gpu_device {
	char uuid[GPU_UUID_BYTES + 1];   /* "": the driver gives none, or it sleeps */
	char pci[GPU_PCI_BYTES + 1];     /* "0000:01:00.0"; "": not on PCI */
	char parent[GPU_UUID_BYTES + 1]; /* of a MIG instance: the card's uuid; else "" */
	char model[GPU_MODEL_BYTES + 1];
	int nvml_index; /* -1: none */
	int cuda_index; /* under CUDA_DEVICE_ORDER=PCI_BUS_ID; -1: none */
	bool unified;   /* shares the machine's memory */
	bool measures;  /* the memory in use can be read; else what is declared counts */
};

#define GPU_STATE_TABLE(X)                                                                         \
	X(GPU_OK, "ok", "")                                                                        \
	X(GPU_ASLEEP, "asleep",                                                                    \
	  "It is powered down and uses no memory; reading more would wake it.")                    \
	X(GPU_IDLE, "idle", "Nobody needs figures, so the driver is not asked.")                   \
	X(GPU_LOST, "lost", "The driver lost it: reset it, or reboot.")                            \
	X(GPU_GONE, "gone", "It is not there any more.")                                           \
	X(GPU_HUNG, "hung", "The driver does not answer about it.")                                \
	X(GPU_FAILED, "failed", "It cannot be read.")

enum gpu_state {
#define X(state, name, text) state,
	GPU_STATE_TABLE(X)
#undef X
		GPU_STATE_COUNT
};

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

struct gpu_reading {
	enum gpu_state state;
	uint32_t known; /* bits of enum gpu_figure */
	uint64_t total_bytes, used_bytes, free_bytes, reserved_bytes;
	uint32_t utilisation_percent, power_mw;
	int32_t temperature_c;
	bool processes_partial; /* some may not be looked at: they belong to others */
	size_t process_count;
	struct gpu_process *processes;   /* owned; gpu_reading_finish */
	char fault[GPU_FAULT_BYTES + 1]; /* GPU_FAILED: the driver's words */
};

/* Grows the list by one, zeroed. Aborts on allocation failure. */
struct gpu_process *gpu_reading_add(struct gpu_reading *reading);
void gpu_reading_finish(struct gpu_reading *reading);
/* By uuid where both have one, else by PCI address. */
bool gpu_device_is(const struct gpu_device *a, const struct gpu_device *b);
const char *gpu_state_name(int state);
const char *gpu_state_text(int state);
