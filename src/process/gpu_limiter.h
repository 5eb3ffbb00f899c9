/* gpu_limiter: a limit of an NVIDIA GPU's memory for a cgroup, set by NVML, for kernels without a
 * controller for it. The program beside this one does it, baton-gpu-limit: it takes root. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Its path, if it is there and may: an administrator gave it the right to, or we are root. */
bool gpu_limiter_find(char *ret_path, size_t size);
/* The cgroup by its whole path. UINT64_MAX lifts the limit. Waits for the driver, some seconds at
 * most. False, and why not in words. */
bool gpu_limiter_set(const char *uuid, const char *cgroup, uint64_t bytes, char *ret_why,
		     size_t size);
