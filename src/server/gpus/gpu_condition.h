/* gpu_condition: what is odd about a process that holds memory of a GPU: it serves it as swap or a
 * disk, or it is dead, or no signal reaches it. Only reads; nobody is ever stopped for it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"

#define GPU_CONDITION_TABLE(X)                                                                     \
	X(GPU_CONDITION_NONE, "", "")                                                              \
	X(GPU_CONDITION_SWAP, "vram_swap",                                                         \
	  "It serves VRAM as swap or as a disk, so it never gives it back by itself: swapoff or "  \
	  "unmount it, then stop it.")                                                             \
	X(GPU_CONDITION_ZOMBIE, "zombie",                                                          \
	  "It is dead, and its parent has not collected it; end its parent, and what it had "      \
	  "started.")                                                                              \
	X(GPU_CONDITION_DEAD, "dead",                                                              \
	  "It is dead, but the driver counts its memory: something that it had started may keep "  \
	  "the device open; else reset the GPU.")                                                  \
	X(GPU_CONDITION_STUCK, "stuck",                                                            \
	  "It does not return from one call into the kernel, so no signal ends it: see dmesg; "    \
	  "only a reboot may help.")

enum gpu_condition {
#define X(condition, name, text) condition,
	GPU_CONDITION_TABLE(X)
#undef X
		GPU_CONDITION_COUNT
};

const char *gpu_condition_name(enum gpu_condition condition);
const char *gpu_condition_text(enum gpu_condition condition);

enum {
	CONDITION_LOOK_MS = 5000, /* how often a living process is looked at */
	CONDITION_DEAD_MS = 2000, /* drivers list who died for a moment longer */
};

/* Whether a process is in one and the same wait that no signal ends, look after look. */
struct kernel_wait {
	int64_t waits; /* as in proc_status; -1: it was not in one */
	struct mono_ms since;
};

bool gpu_condition_stuck(struct kernel_wait *wait, int64_t pid, struct mono_ms now);
/* By its name, or by the devices that it has open, where those may be read. */
bool gpu_condition_serves(int64_t pid, const char *command);
/* Of one that is gone. */
bool gpu_condition_zombie(int64_t pid);
