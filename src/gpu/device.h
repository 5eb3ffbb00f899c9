/* device: a GPU as a source found it, and how it is. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GPU_UUID_BYTES = 63, GPU_PCI_BYTES = 31, GPU_MODEL_BYTES = 95 };

struct gpu_device {
	char uuid[GPU_UUID_BYTES + 1];   /* "": the driver gives none, or it sleeps */
	char pci[GPU_PCI_BYTES + 1];     /* "0000:01:00.0"; "": not on PCI */
	char parent[GPU_UUID_BYTES + 1]; /* of a MIG instance: the card's uuid; else "" */
	char model[GPU_MODEL_BYTES + 1];
	int nvml_index; /* -1: none */
	unsigned
		vendor; /* PCI_NVIDIA, PCI_AMD or PCI_INTEL, where its runtime reaches it; else 0 */
	int maker_index; /* among its vendor's by address, as CUDA numbers them under
			    CUDA_DEVICE_ORDER=PCI_BUS_ID, and ROCm; -1: none */
	bool unified;    /* shares the machine's memory */
	bool integrated; /* part of the processor: lent by itself only where there is no other */
	bool measures;   /* the memory in use can be read; else what is declared counts */
};

/* By uuid where both have one, else by PCI address. */
bool gpu_device_is(const struct gpu_device *a, const struct gpu_device *b);
/* Sets maker_index of all; they are all that one source has. */
void gpu_device_number(struct gpu_device *devices, size_t count);

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

const char *gpu_state_name(int state);
const char *gpu_state_text(int state);
