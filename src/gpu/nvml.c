/* nvml: NVIDIA's GPUs. A card in MIG mode is not listed, its instances are. Handles are the
 * library's, and looked up again by each list. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/files.h"
#include "gpu/nvml_api.h"
#include "gpu/nvml_cgroups.h"
#include "gpu/nvml_processes.h"
#include "gpu/pci.h"
#include "gpu/source.h"

enum {
	HANDLES_MAX = 64,
	PROCESSES_FIRST = 64,
	PROCESSES_MAX = 1 << 16, /* no GPU has so many */
	MEMINFO_BYTES = 4096,
	POWER_MW_MAX = 100 * 1000 * 1000, /* no card draws so much */
};

struct handle {
	struct gpu_device device;
	nvml_device handle;
};

/* The library is open once for all clones. */
struct library {
	atomic_int users;
	void *handle;
};

struct nvml {
	struct library *library;
	struct nvml_api api;
	struct gpu_paths paths;
	bool forget;     /* what is known of cards is not so any more */
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
		advice = "; the library is installed, but no driver of NVIDIA is loaded";
	if (code == NVML_MISMATCH)
		advice = "; the driver was upgraded: reboot, or reload its kernel module";
	if (code == NVML_NO_PERMISSION)
		advice = "; this user may not open the driver's device nodes";

	(void)snprintf(ret_why, GPU_FAULT_BYTES + 1, "NVML: %s (%d)%s", words_of(nvml, code), code,
		       advice);
	return code == NVML_NO_DRIVER ? -ENOENT : code == NVML_MISMATCH ? -EPROTO : -EIO;
}

static void nvml_close(void *source)
{
	struct nvml *nvml = source;

	if (atomic_fetch_sub(&nvml->library->users, 1) == 1) {
		(void)nvml->api.shutdown();
		(void)dlclose(nvml->library->handle);
		free(nvml->library);
	}
	free(nvml->rows);
	free(nvml);
}

static void *nvml_clone(void *source)
{
	const struct nvml *nvml = source;
	struct nvml *clone = malloc(sizeof(*clone));
	if (!clone)
		abort();

	*clone = *nvml;
	clone->rows = NULL;
	clone->row_capacity = 0;
	atomic_fetch_add(&clone->library->users, 1);
	return clone;
}

static int init_library(struct nvml *nvml, char *ret_why)
{
	void *handle;
	int rc = nvml_load(nvml->paths.nvml, &handle, &nvml->api, ret_why);
	if (rc)
		return rc;

	int code = nvml->api.init();
	if (code != NVML_OK) {
		rc = explain_init(nvml, code, ret_why);
		(void)dlclose(handle);
		return rc;
	}

	nvml->library = calloc(1, sizeof(*nvml->library));
	if (!nvml->library)
		abort();
	nvml->library->handle = handle;
	atomic_init(&nvml->library->users, 1);
	return 0;
}

static int nvml_open(const struct gpu_paths *paths, void **ret_source, char *ret_why)
{
	struct nvml *nvml = calloc(1, sizeof(*nvml));
	if (!nvml)
		abort();
	nvml->paths = *paths;

	int rc = init_library(nvml, ret_why);
	if (rc) {
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

/* What a list finds, and what was known before. */
struct listing {
	struct handle handles[HANDLES_MAX];
	size_t count;
	struct gpu_device known[HANDLES_MAX];
	size_t known_count;
};

static const struct gpu_device *find_known(const struct listing *listing,
					   const struct gpu_device *device)
{
	for (size_t i = 0; i < listing->known_count; i++)
		if (gpu_device_is(&listing->known[i], device))
			return &listing->known[i];
	return NULL;
}

/* Of a card that is known, only its uuid is asked: the rest stays, and a broken one would hang. */
static bool describe_device(const struct nvml *nvml, const struct listing *listing,
			    nvml_device handle, struct gpu_device *device)
{
	struct nvml_pci pci = {0};
	struct nvml_memory memory;
	struct nvml_memory_v2 memory_v2 = {.version = NVML_MEMORY_V2};

	*device = (struct gpu_device){
		.nvml_index = -1, .maker_index = -1, .vendor = PCI_NVIDIA, .measures = true};
	if (nvml->api.uuid(handle, device->uuid, sizeof(device->uuid)) != NVML_OK)
		device->uuid[0] = '\0';

	const struct gpu_device *known = find_known(listing, device);
	if (known) {
		*device = *known;
		return true;
	}

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

static void keep_handle(struct listing *listing, const struct gpu_device *device,
			nvml_device handle)
{
	if (listing->count < HANDLES_MAX)
		listing->handles[listing->count++] =
			(struct handle){.device = *device, .handle = handle};
}

/* A mode that is not supported is none. */
static bool has_mig(const struct nvml *nvml, nvml_device card)
{
	unsigned now = 0, later;

	return nvml->api.mig_mode && nvml->api.mig_max && nvml->api.mig_by_index &&
	       nvml->api.mig_mode(card, &now, &later) == NVML_OK && now == 1;
}

/* Lists the instances of a card in MIG mode. False: it is not in that mode. */
static bool list_instances(const struct nvml *nvml, nvml_device card,
			   const struct gpu_device *parent, struct listing *listing)
{
	unsigned most = 0;

	if (!has_mig(nvml, card))
		return false;

	if (nvml->api.mig_max(card, &most) != NVML_OK)
		most = 0;
	for (unsigned i = 0; i < most; i++) {
		nvml_device handle;
		struct gpu_device device;
		if (nvml->api.mig_by_index(card, i, &handle) != NVML_OK ||
		    !describe_device(nvml, listing, handle, &device) || !device.uuid[0])
			continue;

		memcpy(device.parent, parent->uuid, sizeof(device.parent));
		memcpy(device.pci, parent->pci, sizeof(device.pci));
		keep_handle(listing, &device, handle);
	}
	return true;
}

/* A card that is lost often cannot be asked who it is any more: it is the one that was there. */
static void keep_lost(unsigned index, struct listing *listing)
{
	for (size_t i = 0; i < listing->known_count; i++)
		if (listing->known[i].nvml_index == (int)index)
			keep_handle(listing, &listing->known[i], NULL);
}

static void list_card(const struct nvml *nvml, unsigned index, struct listing *listing)
{
	struct gpu_device card;
	nvml_device handle;
	int code = nvml->api.by_index(index, &handle);

	if (code == NVML_LOST)
		keep_lost(index, listing);
	if (code != NVML_OK || !describe_device(nvml, listing, handle, &card))
		return;

	bool known = find_known(listing, &card) != NULL;
	card.nvml_index = (int)index;
	if (known || !list_instances(nvml, handle, &card, listing))
		keep_handle(listing, &card, handle);
}

static int nvml_list(void *source, struct gpu_device *devices, size_t known_count, size_t max)
{
	struct nvml *nvml = source;
	struct listing listing = {.count = 0};
	unsigned cards = 0;

	/* The library knows only what was there when it was opened. */
	if (pci_count_displays(nvml->paths.sysfs, PCI_NVIDIA) != nvml->boards)
		return -ENODEV;
	if (nvml->api.count(&cards) != NVML_OK)
		return -ENODEV;

	for (size_t i = 0; i < known_count && i < HANDLES_MAX && !nvml->forget; i++)
		listing.known[listing.known_count++] = devices[i];
	nvml->forget = false;
	for (unsigned i = 0; i < cards; i++)
		list_card(nvml, i, &listing);

	memcpy(nvml->handles, listing.handles, sizeof(nvml->handles));
	nvml->handle_count = listing.count;
	size_t count = listing.count < max ? listing.count : max;
	for (size_t i = 0; i < count; i++)
		devices[i] = listing.handles[i].device;
	gpu_device_number(devices, count); /* CUDA numbers whole cards, by address */
	return (int)count;
}

static const struct handle *handle_of(const struct nvml *nvml, const struct gpu_device *device)
{
	for (size_t i = 0; i < nvml->handle_count; i++)
		if (gpu_device_is(&nvml->handles[i].device, device))
			return &nvml->handles[i];
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
	if (api->power && api->power(handle, &value) == NVML_OK && value < POWER_MW_MAX) {
		ret->power_mw = value;
		ret->known |= GPU_POWER;
	}
}

static void nvml_read(void *source, const struct gpu_device *device, struct gpu_reading *ret)
{
	struct nvml *nvml = source;
	const struct handle *found = handle_of(nvml, device);

	if (!found || !found->handle) {
		ret->state = found ? GPU_LOST : GPU_GONE;
		return;
	}
	if (!device->parent[0] && has_mig(nvml, found->handle)) {
		ret->state = GPU_GONE; /* its instances are there now */
		nvml->forget = true;
		return;
	}

	nvml_device handle = found->handle;
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
	const struct handle *found = handle_of(nvml, device);
	bool whole = found && found->handle && nvml->api.processes[GPU_COMPUTE];

	for (int use = 0; use < GPU_DRM && whole; use++)
		if (nvml->api.processes[use])
			whole = read_list(nvml, found->handle, (enum gpu_use)use, ret);

	if (whole)
		ret->known |= GPU_PROCESSES;
	else
		gpu_reading_finish(ret);
}

static bool nvml_cgroup(void *source, const struct gpu_device *device, struct gpu_cgroup *asked)
{
	struct nvml *nvml = source;
	const struct handle *found = handle_of(nvml, device);
	return found && found->handle && !device->parent[0] &&
	       nvml_cgroup_read(&nvml->api, found->handle, asked);
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
	.cgroup = nvml_cgroup,
	.close = nvml_close,
	.clone = nvml_clone,
	.peek = nvml_peek,
};
