/* nvml_api: finds the library and its symbols. Calls none of them. */
#include "gpu/nvml_api.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const library_paths[] = {"libnvidia-ml.so.1",
					    "/usr/lib/wsl/lib/libnvidia-ml.so.1"};

/* The first of the names that the library has. POSIX lets a symbol be taken as a function. */
static void find_symbol(void *library, const char *const *names, void *ret_function)
{
	void *symbol = NULL;

	for (; *names && !symbol; names++)
		symbol = dlsym(library, *names);
	memcpy(ret_function, &symbol, sizeof(symbol));
}

#define FIND(field, ...) find_symbol(library, (const char *const[]){__VA_ARGS__, NULL}, &api->field)

static void find_processes(void *library, struct nvml_api *api)
{
	static const char *const kinds[GPU_DRM] = {
		[GPU_COMPUTE] = "Compute", [GPU_GRAPHICS] = "Graphics", [GPU_MPS] = "MPSCompute"};
	static const char *const versions[] = {"_v3", "_v2", ""};

	for (int use = 0; use < GPU_DRM; use++)
		for (size_t i = 0; i < 3 && !api->processes[use]; i++) {
			char name[64];
			(void)snprintf(name, sizeof(name), "nvmlDeviceGet%sRunningProcesses%s",
				       kinds[use], versions[i]);
			find_symbol(library, (const char *const[]){name, NULL},
				    &api->processes[use]);
			api->row_bytes[use] = versions[i][0] ? 24 : 16;
		}
}

static void find_all(void *library, struct nvml_api *api)
{
	*api = (struct nvml_api){0};
	FIND(init, "nvmlInit_v2", "nvmlInit");
	FIND(shutdown, "nvmlShutdown");
	FIND(count, "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount");
	FIND(by_index, "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex");
	FIND(uuid, "nvmlDeviceGetUUID");
	FIND(memory, "nvmlDeviceGetMemoryInfo");
	FIND(memory_v2, "nvmlDeviceGetMemoryInfo_v2");
	FIND(name, "nvmlDeviceGetName");
	FIND(pci, "nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2");
	FIND(utilization, "nvmlDeviceGetUtilizationRates");
	FIND(temperature, "nvmlDeviceGetTemperature");
	FIND(power, "nvmlDeviceGetPowerUsage");
	FIND(mig_mode, "nvmlDeviceGetMigMode");
	FIND(mig_max, "nvmlDeviceGetMaxMigDeviceCount");
	FIND(mig_by_index, "nvmlDeviceGetMigDeviceHandleByIndex");
	FIND(limits, "nvmlDeviceGetMemoryLimits_v1");
	FIND(text, "nvmlErrorString");
	find_processes(library, api);
}

int nvml_load(const char *path, void **ret_library, struct nvml_api *ret_api, char *ret_why)
{
	void *library = NULL;

	if (path)
		library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; !path && !library && i < 2; i++)
		library = dlopen(library_paths[i], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return -ENOENT;

	find_all(library, ret_api);
	if (!ret_api->init || !ret_api->shutdown || !ret_api->count || !ret_api->by_index ||
	    !ret_api->uuid || !ret_api->memory) {
		(void)dlclose(library);
		(void)snprintf(ret_why, GPU_FAULT_BYTES + 1,
			       "libnvidia-ml lacks calls that all drivers since 450 have");
		return -ENOSYS;
	}

	*ret_library = library;
	return 0;
}
