/* cgroup_limit: holds what is in a cgroup to so much of a GPU's memory: the driver refuses what
 * would be more. By the kernel's dmem controller (Linux 6.14), for regions of DRM's drivers and of
 * NVIDIA's. `folder` is where the controller counts (cgroup_divide.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For the GPU with this address on the PCI bus ("0000:03:00.0"); each of its regions. False, and
 * why not in words. */
bool cgroup_limit_set(const char *folder, const char *pci, uint64_t bytes, char *ret_why,
		      size_t size);
void cgroup_limit_lift(const char *folder, const char *pci);
