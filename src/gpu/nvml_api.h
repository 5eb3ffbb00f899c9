/* nvml_api: the few calls of NVIDIA's management library that are used, by their documented ABI.
 * Each is looked up by its newest symbol first, and may be missing: libraries since driver 450. */
#pragma once
#include "gpu/reading.h"

enum nvml_code {
	NVML_OK = 0,
	NVML_NOT_SUPPORTED = 3,
	NVML_NO_PERMISSION = 4,
	NVML_SIZE = 7, /* the array is too small */
	NVML_NO_DRIVER = 9,
	NVML_LOST = 15,
	NVML_RESET = 16,    /* it needs one */
	NVML_MISMATCH = 18, /* library and kernel module differ */
};

typedef void *nvml_device;

struct nvml_pci { /* begins so in all versions */
	char legacy[16];
	unsigned domain, bus, device, ids, subsystem;
	char bus_id[32];
	unsigned spare[8];
};
struct nvml_memory {
	unsigned long long total, free, used; /* what is reserved counts as used */
};
struct nvml_memory_v2 {
	unsigned version;
	unsigned long long total, reserved, free, used;
};
struct nvml_limits { /* of a cgroup, by its whole path; r615 */
	const char *cgroup;
	unsigned long long soft, hard, used; /* hard: UINT64_MAX is none */
};
enum { NVML_MEMORY_V2 = sizeof(struct nvml_memory_v2) | 2 << 24 };

/* NULL: the library has no such call, but for the first six. */
struct nvml_api {
	int (*init)(void);
	int (*shutdown)(void);
	int (*count)(unsigned *ret);
	int (*by_index)(unsigned index, nvml_device *ret);
	int (*uuid)(nvml_device device, char *ret, unsigned size);
	int (*memory)(nvml_device device, struct nvml_memory *ret);
	int (*memory_v2)(nvml_device device, struct nvml_memory_v2 *ret);
	int (*name)(nvml_device device, char *ret, unsigned size);
	int (*pci)(nvml_device device, struct nvml_pci *ret);
	int (*utilization)(nvml_device device, unsigned ret[2]);
	int (*temperature)(nvml_device device, int sensor, unsigned *ret);
	int (*power)(nvml_device device, unsigned *ret_mw);
	int (*mig_mode)(nvml_device device, unsigned *ret_now, unsigned *ret_later);
	int (*mig_max)(nvml_device device, unsigned *ret);
	int (*mig_by_index)(nvml_device device, unsigned index, nvml_device *ret);
	int (*limits)(nvml_device device, struct nvml_limits *limits);
	const char *(*text)(int code);
	/* By enum gpu_use; bytes of a row: 16 for the first version, else 24. */
	int (*processes[GPU_DRM])(nvml_device device, unsigned *count, void *ret_rows);
	size_t row_bytes[GPU_DRM];
};

/* `path` NULL: by name, then in WSL's folder. 0 or a negative errno; -ENOENT: there is none. */
int nvml_load(const char *path, void **ret_library, struct nvml_api *ret_api, char *ret_why);
