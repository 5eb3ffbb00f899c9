/* cgroup_limit: holds what is in a cgroup to so much of a GPU's memory: the driver refuses what
 * would be more. By the kernel's dmem controller (Linux 6.14), for regions of DRM's drivers and of
 * NVIDIA's. No root is needed where the controller is enabled for this process's cgroup. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

enum { CGROUP_LIMIT_PATH_BYTES = LIMIT_CGROUP_BYTES + 256 };

struct cgroup_limit {
	char folder[CGROUP_LIMIT_PATH_BYTES]; /* of the cgroup; "": none */
	char leaf[CGROUP_LIMIT_PATH_BYTES];   /* where this process has moved to; "": nowhere */
	bool enabled;                         /* the controller, by us, beside that folder */
};

/* The cgroup is below this process's own one and still empty. Where the controller is not enabled
 * for it, it is now; for that this process moves to a cgroup beside it, where it is alone. False,
 * and why not in words. `root`: instead of /sys/fs/cgroup; NULL: that. */
bool cgroup_limit_begin(struct cgroup_limit *limit, const char *folder, const char *root,
			char *ret_why, size_t size);
/* For the GPU with this address on the PCI bus ("0000:03:00.0"); each of its regions. False, and
 * why not. */
bool cgroup_limit_set(const struct cgroup_limit *limit, const char *pci, uint64_t bytes,
		      char *ret_why, size_t size);
void cgroup_limit_lift(const struct cgroup_limit *limit, const char *pci);
/* Once the cgroup is removed: all is as before cgroup_limit_begin. */
void cgroup_limit_end(struct cgroup_limit *limit);
