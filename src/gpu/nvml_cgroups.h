/* nvml_cgroups: what a cgroup uses of a card and may use at most, by NVML (r615). Where there is a
 * kernel's controller its files say the same (dmem.h). */
#pragma once
#include "gpu/nvml_api.h"

struct gpu_cgroup;

/* `asked` has the path. False: no limit is set for this very cgroup, and then the driver counts
 * nothing for it; or the driver does not tell. */
bool nvml_cgroup_read(const struct nvml_api *api, nvml_device device, struct gpu_cgroup *asked);
