/* nvml: NVIDIA's GPUs. A card in MIG mode is not listed, its instances are. Handles are the
 * library's, and looked up again by each list. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/files.h"
#include "gpu/nvml_api.h"
#include "gpu/nvml_processes.h"
#include "gpu/pci.h"
#include "gpu/source.h"

enum {
	HANDLES_MAX = 64,
	PROCESSES_FIRST = 64,
	PROCESSES_MAX = 1 << 16, /* no GPU has so many */
	MEMINFO_BYTES = 4096,
};

struct handle {
	char uuid[GPU_UUID_BYTES + 1];
	nvml_device device;
};

struct nvml {
	void *library;
	struct nvml_api api;
	struct gpu_paths paths;
	unsigned boards; /* NVIDIA's on the PCI bus when it was opened */
	struct handle handles[HANDLES_MAX];
	size_t handle_count;
	void *rows; /* scratch of the process lists */
	unsigned row_capacity;
};

/* Boards whose memory is the machine's, where the library answers as if it were their own. */
static bool is_unified_model(const char *model)
{
	static const char *const words[] = {"GB10", "N1X", "Orin", "Thor", "Xavier", "(nvgpu)"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strstr(model, words[i]))
			return true;
	return false;
}

static const char *words_of(const struct nvml *nvml, int code)
{
	const char *text = nvml->api.text ? nvml->api.text(code) : NULL;
	return text ? text : "unknown error";
}

static int explain_init(const struct nvml *nvml, int code, char *ret_why)
{
	const char *advice = "";

	if (code == NVML_NO_DRIVER)
		return -ENOENT; /* the library is installed, but there is no such GPU */
	if (code == NVML_MISMATCH)
		advice = "; the driver was upgraded: reboot, or reload its kernel module";
	if (code == NVML_NO_PERMISSION)
		advice = "; this user may not open the driver's device nodes";

	(void)snprintf(ret_why, GPU_FAULT_BYTES + 1, "NVML: %s (%d)%s", words_of(nvml, code), code,
		       advice);
	return code == NVML_MISMATCH ? -EPROTO : -EIO;
}

static void nvml_close(void *source)
{
	struct nvml *nvml = source;

	(void)nvml->api.shutdown();
	(void)dlclose(nvml->library);
	free(nvml->rows);
	free(nvml);
}

static int nvml_open(const struct gpu_paths *paths, void **ret_source, char *ret_why)
{
	struct nvml *nvml = calloc(1, sizeof(*nvml));
	if (!nvml)
		abort();
	nvml->paths = *paths;

	int rc = nvml_load(paths->nvml, &nvml->library, &nvml->api, ret_why);
	if (rc) {
		free(nvml);
		return rc;
	}

	int code = nvml->api.init();
	if (code != NVML_OK) {
		rc = explain_init(nvml, code, ret_why);
		(void)dlclose(nvml->library);
		free(nvml);
		return rc;
	}

	nvml->boards = pci_count_displays(paths->sysfs, PCI_NVIDIA);
	*ret_source = nvml;
	return 0;
}

/* "00000000:01:00.0" as the kernel writes it. */
static void set_pci(struct gpu_device *device, const struct nvml_pci *pci)
{
	(void)snprintf(device->pci, sizeof(device->pci), "%04x:%02x:%02x.0", pci->domain, pci->bus,
		       pci->device);
}

static bool describe_device(struct nvml *nvml, nvml_device handle, struct gpu_device *device)
{
	struct nvml_pci pci = {0};
	struct nvml_memory memory;
	struct nvml_memory_v2 memory_v2 = {.version = NVML_MEMORY_V2};

	*device = (struct gpu_device){.nvml_index = -1, .cuda_index = -1, .measures = true};
	int code = nvml->api.uuid(handle, device->uuid, sizeof(device->uuid));
	if (code != NVML_OK)
		device->uuid[0] = '\0';

	if (nvml->api.pci && nvml->api.pci(handle, &pci) == NVML_OK)
		set_pci(device, &pci);
	if (!nvml->api.name ||
	    nvml->api.name(handle, device->model, sizeof(device->model)) != NVML_OK)
		(void)snprintf(device->model, sizeof(device->model), "NVIDIA");

	device->unified = is_unified_model(device->model) ||
			  (nvml->api.memory(handle, &memory) == NVML_NOT_SUPPORTED &&
			   (!nvml->api.memory_v2 ||
			    nvml->api.memory_v2(handle, &memory_v2) == NVML_NOT_SUPPORTED));
	return device->uuid[0] != '\0' || device->pci[0] != '\0';
}

static void keep_handle(struct nvml *nvml, const struct gpu_device *device, nvml_device handle)
{
	struct handle *kept = &nvml->handles[nvml->handle_count++];

	(void)snprintf(kept->uuid, sizeof(kept->uuid), "%s",
		       device->uuid[0] ? device->uuid : device->pci);
	kept->device = handle;
}

/* Lists the instances of a card in MIG mode. False: it is not in that mode. */
static bool list_instances(struct nvml *nvml, nvml_device card, const struct gpu_device *parent,
			   struct gpu_device *devices, size_t *count, size_t max)
{
	unsigned now = 0, later, most = 0;

	if (!nvml->api.mig_mode || !nvml->api.mig_max || !nvml->api.mig_by_index ||
	    nvml->api.mig_mode(card, &now, &later) != NVML_OK || now != 1)
		return false;

	if (nvml->api.mig_max(card, &most) != NVML_OK)
		most = 0;
	for (unsigned i = 0; i < most && *count < max; i++) {
		nvml_device handle;
		struct gpu_device *device = &devices[*count];
		if (nvml->api.mig_by_index(card, i, &handle) != NVML_OK ||
		    !describe_device(nvml, handle, device) || !device->uuid[0])
			continue;

		memcpy(device->parent, parent->uuid, sizeof(device->parent));
		memcpy(device->pci, parent->pci, sizeof(device->pci));
		keep_handle(nvml, device, handle);
		*count += 1;
	}
	return true;
}

/* CUDA numbers whole cards, by address where it is told to. */
static void number_for_cuda(struct gpu_device *devices, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int index = 0;
		if (devices[i].parent[0] || !devices[i].pci[0])
			continue;
		for (size_t j = 0; j < count; j++)
			index += !devices[j].parent[0] && devices[j].pci[0] &&
				 strcmp(devices[j].pci, devices[i].pci) < 0;
		devices[i].cuda_index = index;
	}
}

static int nvml_list(void *source, struct gpu_device *ret_devices, size_t max)
{
	struct nvml *nvml = source;
	unsigned cards = 0;
	size_t count = 0;

	/* The library knows only what was there when it was opened. */
	if (pci_count_displays(nvml->paths.sysfs, PCI_NVIDIA) != nvml->boards)
		return -ENODEV;
	if (nvml->api.count(&cards) != NVML_OK)
		return -ENODEV;

	nvml->handle_count = 0;
	max = max < HANDLES_MAX ? max : HANDLES_MAX;
	for (unsigned i = 0; i < cards && count < max; i++) {
		struct gpu_device card;
		nvml_device handle;
		if (nvml->api.by_index(i, &handle) != NVML_OK ||
		    !describe_device(nvml, handle, &card))
			continue; /* lost: who knew it finds that it is not listed */

		card.nvml_index = (int)i;
		if (list_instances(nvml, handle, &card, ret_devices, &count, max))
			continue;
		ret_devices[count++] = card;
		keep_handle(nvml, &card, handle);
	}

	number_for_cuda(ret_devices, count);
	return (int)count;
}

static nvml_device handle_of(const struct nvml *nvml, const struct gpu_device *device)
{
	const char *name = device->uuid[0] ? device->uuid : device->pci;

	for (size_t i = 0; i < nvml->handle_count; i++)
		if (strcmp(nvml->handles[i].uuid, name) == 0)
			return nvml->handles[i].device;
	return NULL;
}

/* Whatever was read before is worth nothing then. */
static void fail_reading(const struct nvml *nvml, int code, struct gpu_reading *ret)
{
	ret->state = code == NVML_LOST || code == NVML_RESET ? GPU_LOST : GPU_FAILED;
	(void)snprintf(ret->fault, sizeof(ret->fault), "NVML: %s (%d)", words_of(nvml, code), code);
}

static void set_memory(struct gpu_reading *ret, uint64_t total, uint64_t free, uint64_t reserved,
		       bool reserved_known)
{
	if (total == 0 || free > total || reserved > total - free)
		return; /* nonsense is unknown */

	ret->total_bytes = total;
	ret->free_bytes = free;
	ret->reserved_bytes = reserved;
	ret->used_bytes = total - free - reserved;
	ret->known |= GPU_MEMORY | GPU_TOTAL;
	if (reserved_known)
		ret->known |= GPU_RESERVED;
}

static void read_machine_memory(const struct gpu_paths *paths, struct gpu_reading *ret)
{
	char text[MEMINFO_BYTES];
	uint64_t total, available;

	if (gpu_file_read(text, sizeof(text), "%s/meminfo", paths->procfs) > 0 &&
	    gpu_parse_meminfo(text, &total, &available))
		set_memory(ret, total, available, 0, false);
}

/* What is free is said by both calls alike; only the newer one tells what the driver reserves. */
static int read_memory(const struct nvml *nvml, nvml_device handle, struct gpu_reading *ret)
{
	struct nvml_memory_v2 v2 = {.version = NVML_MEMORY_V2};
	struct nvml_memory v1;
	int code = nvml->api.memory_v2 ? nvml->api.memory_v2(handle, &v2) : NVML_NOT_SUPPORTED;

	if (code == NVML_OK) {
		set_memory(ret, v2.total, v2.free, v2.reserved, true);
		return code;
	}
	if (code == NVML_LOST || code == NVML_RESET)
		return code;

	code = nvml->api.memory(handle, &v1);
	if (code == NVML_OK)
		set_memory(ret, v1.total, v1.free, 0, false);
	return code;
}

static void read_sensors(const struct nvml *nvml, nvml_device handle, struct gpu_reading *ret)
{
	const struct nvml_api *api = &nvml->api;
	unsigned utilization[2], value;

	if (api->utilization && api->utilization(handle, utilization) == NVML_OK &&
	    utilization[0] <= 100) {
		ret->utilisation_percent = utilization[0];
		ret->known |= GPU_UTILISATION;
	}
	if (api->temperature && api->temperature(handle, 0, &value) == NVML_OK && value < 1000) {
		ret->temperature_c = (int32_t)value;
		ret->known |= GPU_TEMPERATURE;
	}
	if (api->power && api->power(handle, &value) == NVML_OK) {
		ret->power_mw = value;
		ret->known |= GPU_POWER;
	}
}

static void nvml_read(void *source, const struct gpu_device *device, struct gpu_reading *ret)
{
	struct nvml *nvml = source;
	nvml_device handle = handle_of(nvml, device);

	if (!handle) {
		ret->state = GPU_GONE;
		return;
	}

	if (device->unified) {
		read_machine_memory(&nvml->paths, ret);
	} else {
		int code = read_memory(nvml, handle, ret);
		if (code != NVML_OK) {
			fail_reading(nvml, code, ret);
			return;
		}
	}
	read_sensors(nvml, handle, ret);
}

static void reserve_rows(struct nvml *nvml, unsigned capacity)
{
	if (capacity <= nvml->row_capacity)
		return;
	free(nvml->rows);
	nvml->rows = calloc(capacity, NVML_ROW_BYTES_MAX);
	if (!nvml->rows)
		abort();
	nvml->row_capacity = capacity;
}

/* One list; it may grow between two calls. NVML_NOT_SUPPORTED counts as an empty one. */
static bool read_list(struct nvml *nvml, nvml_device handle, enum gpu_use use,
		      struct gpu_reading *ret)
{
	unsigned capacity = nvml->row_capacity ? nvml->row_capacity : PROCESSES_FIRST;
	int code = NVML_SIZE;
	unsigned count = 0;

	while (code == NVML_SIZE && capacity <= PROCESSES_MAX) {
		reserve_rows(nvml, capacity);
		memset(nvml->rows, 0, (size_t)nvml->row_capacity * NVML_ROW_BYTES_MAX);
		count = nvml->row_capacity;
		code = nvml->api.processes[use](handle, &count, nvml->rows);
		capacity = 2 * (count > nvml->row_capacity ? count : nvml->row_capacity);
	}

	if (code == NVML_NOT_SUPPORTED && use != GPU_COMPUTE)
		return true;
	return code == NVML_OK && count <= nvml->row_capacity &&
	       nvml_take_processes(nvml->rows, count, nvml->api.row_bytes[use], use,
				   ret->known & GPU_TOTAL ? ret->total_bytes : 0, ret);
}

static void nvml_processes(void *source, const struct gpu_device *device, struct gpu_reading *ret)
{
	struct nvml *nvml = source;
	nvml_device handle = handle_of(nvml, device);
	bool whole = handle && nvml->api.processes[GPU_COMPUTE];

	for (int use = 0; use < GPU_DRM && whole; use++)
		if (nvml->api.processes[use])
			whole = read_list(nvml, handle, (enum gpu_use)use, ret);

	if (whole)
		ret->known |= GPU_PROCESSES;
	else
		gpu_reading_finish(ret);
}

static int nvml_peek(const struct gpu_paths *paths, struct gpu_device *ret_devices, size_t max)
{
	return pci_list_asleep(paths->sysfs, PCI_NVIDIA, ret_devices, max);
}

const struct gpu_source_ops gpu_nvml = {
	.name = "nvml",
	.open = nvml_open,
	.list = nvml_list,
	.read = nvml_read,
	.processes = nvml_processes,
	.close = nvml_close,
	.peek = nvml_peek,
};
