/* drm_fdinfo: parses the text of /proc/PID/fdinfo/FD of a DRM device, as drm-usage-stats of the
 * kernel describes it. Pure. What is malformed, too large or missing is unknown, not zero. */
#pragma once
#include "gpu/device.h"

/* Memory of one kind. */
struct drm_memory {
	uint64_t bytes;
	bool known;
};

struct drm_fdinfo {
	char pdev[GPU_PCI_BYTES + 1];
	uint64_t client; /* the same number in several descriptors and processes is one client */
	struct drm_memory card;   /* vram, vramN, localN */
	struct drm_memory shared; /* gtt, system, systemN, memory: the machine's */
};

/* Of each region: resident, else memory, else total; less what is shared with other clients. False:
 * no client of a device on PCI. */
bool drm_parse_fdinfo(const char *text, size_t length, struct drm_fdinfo *ret_info);
