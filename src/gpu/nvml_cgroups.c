/* nvml_cgroups: see nvml_cgroups.h. */
#include "gpu/nvml_cgroups.h"

#include <stdio.h>
#include <string.h>

static bool read_limits(const struct nvml_api *api, nvml_device device, const char *path,
			struct nvml_limits *ret_limits)
{
	*ret_limits = (struct nvml_limits){.cgroup = path};
	return api->limits(device, ret_limits) == NVML_OK;
}

/* A cgroup without a limit is told that of the nearest around it, with what all of that uses: two
 * of the same limit may be one. */
static bool is_of_another(const struct nvml_api *api, nvml_device device, const char *path,
			  const struct nvml_limits *limits)
{
	char around[sizeof(((struct gpu_cgroup *)0)->path)];
	struct nvml_limits other;
	(void)snprintf(around, sizeof(around), "%s", path);
	char *slash = strrchr(around, '/');
	if (!slash || slash == around)
		return false;

	*slash = '\0';
	return read_limits(api, device, around, &other) && other.soft == limits->soft &&
	       other.hard == limits->hard;
}

/* All ones say that there is no such figure (NVML_VALUE_NOT_AVAILABLE), or no limit. */
bool nvml_cgroup_read(const struct nvml_api *api, nvml_device device, struct gpu_cgroup *asked)
{
	struct nvml_limits limits;
	if (!api->limits || !read_limits(api, device, asked->path, &limits) ||
	    limits.used == UINT64_MAX || limits.hard == UINT64_MAX ||
	    is_of_another(api, device, asked->path, &limits))
		return false;

	asked->vram_bytes = limits.used;
	asked->vram_bytes_max = limits.hard;
	return true;
}
