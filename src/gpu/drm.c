/* drm: GPUs of AMD and Intel, and NVIDIA's under nouveau, by sysfs and fdinfo: no library, no
 * ioctl, no open device. A card that is powered down is not asked, for each file of it would wake
 * it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gpu/drm_clients.h"
#include "gpu/files.h"
#include "gpu/pci.h"
#include "gpu/reading.h"
#include "gpu/source.h"

enum {
	CARDS_MAX = 32,
	MEMINFO_BYTES = 4096,
	UEVENT_BYTES = 1024,
	LOOK_S = 5,            /* between two looks at all processes */
	MOVED_BYTES = 1 << 20, /* .. unless a card's memory moved by so much */
};

enum driver { DRIVER_AMDGPU, DRIVER_XE, DRIVER_I915, DRIVER_NOUVEAU, DRIVER_COUNT };

static const char *const driver_names[DRIVER_COUNT] = {"amdgpu", "xe", "i915", "nouveau"};

struct card {
	char dir[GPU_PATH_BYTES]; /* of the device in sysfs */
	char hwmon[GPU_PATH_BYTES];
	struct gpu_device device;
	enum driver driver;
	uint64_t used_bytes; /* when all processes were looked at last */
};

struct drm {
	struct gpu_paths paths;
	struct card cards[CARDS_MAX];
	size_t card_count;
	struct drm_clients clients;
	time_t looked; /* 0: at nobody yet */
};

static bool driver_of(const char *name, enum driver *ret_driver)
{
	for (int i = 0; i < DRIVER_COUNT; i++)
		if (strcmp(name, driver_names[i]) == 0) {
			*ret_driver = (enum driver)i;
			return true;
		}
	return false;
}

/* A part of the processor has neither a link nor memory of its own to count. */
static bool is_apu(const struct card *card)
{
	return !gpu_file_exists("%s/mem_busy_percent", card->dir) &&
	       !gpu_file_exists("%s/pcie_bw", card->dir);
}

static bool has_own_memory(const struct card *card)
{
	return gpu_file_exists("%s/tile0/physical_vram_size_bytes", card->dir) ||
	       gpu_file_exists("%s/lmem_total_bytes", card->dir);
}

static void find_hwmon(struct card *card)
{
	char path[GPU_PATH_BYTES];
	struct dirent *entry;

	(void)snprintf(path, sizeof(path), "%.480s/hwmon", card->dir);
	DIR *folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		if (strncmp(entry->d_name, "hwmon", 5) == 0)
			(void)snprintf(card->hwmon, sizeof(card->hwmon), "%.400s/hwmon/%.64s",
				       card->dir, entry->d_name);
	if (folder)
		(void)closedir(folder);
}

static void name_card(struct card *card, const char *uevent)
{
	struct gpu_device *device = &card->device;
	char text[GPU_MODEL_BYTES + 1], id[16] = "";

	(void)gpu_line_value(uevent, "PCI_ID", id, sizeof(id));
	(void)snprintf(device->model, sizeof(device->model), "%s %s", driver_names[card->driver],
		       id);
	if (card->driver != DRIVER_AMDGPU)
		return;

	if (gpu_file_read(text, sizeof(text), "%s/product_name", card->dir) > 1) {
		text[strcspn(text, "\n")] = '\0';
		(void)snprintf(device->model, sizeof(device->model), "%s", text);
	}
	/* As ROCm names it. */
	if (gpu_file_read(text, sizeof(text), "%s/unique_id", card->dir) > 1) {
		text[strcspn(text, "\n")] = '\0';
		(void)snprintf(device->uuid, sizeof(device->uuid), "GPU-%.32s", text);
	}
}

/* False: no GPU of a driver that is known here. */
static bool describe_card(const struct drm *drm, const char *name, struct card *card)
{
	char uevent[UEVENT_BYTES], driver[32];

	*card = (struct card){0};
	(void)snprintf(card->dir, sizeof(card->dir), "%.400s/class/drm/%.64s/device",
		       drm->paths.sysfs, name);
	if (gpu_file_read(uevent, sizeof(uevent), "%s/uevent", card->dir) <= 0 ||
	    !gpu_line_value(uevent, "DRIVER", driver, sizeof(driver)) ||
	    !driver_of(driver, &card->driver))
		return false;

	card->device = (struct gpu_device){.nvml_index = -1, .maker_index = -1};
	if (!gpu_line_value(uevent, "PCI_SLOT_NAME", card->device.pci, sizeof(card->device.pci)))
		return false;
	name_card(card, uevent);

	switch (card->driver) {
	case DRIVER_AMDGPU:
		card->device.vendor = PCI_AMD;
		card->device.integrated = is_apu(card);
		card->device.measures = true;
		break;
	case DRIVER_XE:
	case DRIVER_I915:
		card->device.vendor = PCI_INTEL;
		card->device.integrated = card->device.unified = !has_own_memory(card);
		card->device.measures = card->device.unified;
		break;
	case DRIVER_NOUVEAU:
	case DRIVER_COUNT:
		break;
	}
	find_hwmon(card);
	return true;
}

/* "card0", not "card0-HDMI-A-1". */
static bool is_card_name(const char *name)
{
	return strncmp(name, "card", 4) == 0 && name[4] &&
	       name[4 + strspn(name + 4, "0123456789")] == '\0';
}

static size_t find_cards(const struct drm *drm, struct card *cards)
{
	char path[GPU_PATH_BYTES];
	struct dirent *entry;
	size_t count = 0;

	(void)snprintf(path, sizeof(path), "%.400s/class/drm", drm->paths.sysfs);
	DIR *folder = opendir(path);
	while (folder && count < CARDS_MAX && (entry = readdir(folder)))
		if (is_card_name(entry->d_name) && describe_card(drm, entry->d_name, &cards[count]))
			count++;
	if (folder)
		(void)closedir(folder);
	return count;
}

static int drm_list(void *source, struct gpu_device *devices, size_t known_count, size_t max)
{
	struct drm *drm = source;

	(void)known_count;

	drm->card_count = find_cards(drm, drm->cards);
	size_t count = drm->card_count < max ? drm->card_count : max;
	for (size_t i = 0; i < count; i++)
		devices[i] = drm->cards[i].device;
	gpu_device_number(devices, count);
	drm->looked = 0;
	return (int)count;
}

static void drm_close(void *source)
{
	struct drm *drm = source;

	drm_clients_finish(&drm->clients);
	free(drm);
}

static int drm_open(const struct gpu_paths *paths, void **ret_source, char *ret_why)
{
	struct drm *drm = calloc(1, sizeof(*drm));

	(void)ret_why;
	if (!drm)
		abort();
	drm->paths = *paths;
	if (find_cards(drm, drm->cards) == 0) {
		free(drm);
		return -ENOENT;
	}
	*ret_source = drm;
	return 0;
}

/* Memory of a card of AMD's; that of an APU is what it may take of the machine's, too. */
static bool read_amd_memory(const struct card *card, uint64_t *ret_total, uint64_t *ret_used)
{
	uint64_t gtt_total = 0, gtt_used = 0;

	if (!gpu_file_number(ret_total, "%s/mem_info_vram_total", card->dir) ||
	    !gpu_file_number(ret_used, "%s/mem_info_vram_used", card->dir))
		return false;
	if (!card->device.integrated)
		return true;

	if (!gpu_file_number(&gtt_total, "%s/mem_info_gtt_total", card->dir) ||
	    !gpu_file_number(&gtt_used, "%s/mem_info_gtt_used", card->dir))
		return false;
	*ret_total += gtt_total;
	*ret_used += gtt_used;
	return true;
}

static bool read_machine_memory(const struct drm *drm, uint64_t *ret_total, uint64_t *ret_used)
{
	char text[MEMINFO_BYTES];
	uint64_t available;

	if (gpu_file_read(text, sizeof(text), "%s/meminfo", drm->paths.procfs) <= 0 ||
	    !gpu_parse_meminfo(text, ret_total, &available))
		return false;
	*ret_used = *ret_total - available;
	return true;
}

static bool read_card_memory(const struct drm *drm, const struct card *card, uint64_t *ret_total,
			     uint64_t *ret_used)
{
	if (card->driver == DRIVER_AMDGPU)
		return read_amd_memory(card, ret_total, ret_used);
	return card->device.unified && read_machine_memory(drm, ret_total, ret_used);
}

static void drm_begin(void *source)
{
	struct drm *drm = source;
	bool moved = false;

	for (size_t i = 0; i < drm->card_count; i++) {
		struct card *card = &drm->cards[i];
		uint64_t total, used;
		if (pci_is_asleep(card->dir) || card->driver != DRIVER_AMDGPU ||
		    !read_card_memory(drm, card, &total, &used))
			continue;
		moved |= used > card->used_bytes + MOVED_BYTES ||
			 used + MOVED_BYTES < card->used_bytes;
		card->used_bytes = used;
	}

	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	bool whole = moved || drm->looked == 0 || now.tv_sec - drm->looked >= LOOK_S;
	if (whole)
		drm->looked = now.tv_sec ? now.tv_sec : 1;
	drm_clients_read(&drm->clients, drm->paths.procfs, whole);
}

static void read_sensors(const struct card *card, struct gpu_reading *ret)
{
	uint64_t value;

	if (gpu_file_number(&value, "%s/gpu_busy_percent", card->dir) && value <= 100) {
		ret->utilisation_percent = (uint32_t)value;
		ret->known |= GPU_UTILISATION;
	}
	if (!card->hwmon[0])
		return;

	if (gpu_file_number(&value, "%s/temp1_input", card->hwmon) && value < 1000000) {
		ret->temperature_c = (int32_t)(value / 1000);
		ret->known |= GPU_TEMPERATURE;
	}
	if ((gpu_file_number(&value, "%s/power1_average", card->hwmon) ||
	     gpu_file_number(&value, "%s/power1_input", card->hwmon)) &&
	    value / 1000 <= UINT32_MAX) {
		ret->power_mw = (uint32_t)(value / 1000);
		ret->known |= GPU_POWER;
	}
}

static const struct card *card_of(const struct drm *drm, const struct gpu_device *device)
{
	for (size_t i = 0; i < drm->card_count; i++)
		if (strcmp(drm->cards[i].device.pci, device->pci) == 0)
			return &drm->cards[i];
	return NULL;
}

/* Intel's and nouveau's total, where the kernel tells it. */
static void read_total(const struct card *card, struct gpu_reading *ret)
{
	if (gpu_file_number(&ret->total_bytes, "%s/tile0/physical_vram_size_bytes", card->dir) ||
	    gpu_file_number(&ret->total_bytes, "%s/lmem_total_bytes", card->dir))
		ret->known |= GPU_TOTAL;
}

static void drm_read(void *source, const struct gpu_device *device, struct gpu_reading *ret)
{
	struct drm *drm = source;
	const struct card *card = card_of(drm, device);
	uint64_t total, used;

	if (!card || !gpu_file_exists("%s/uevent", card->dir)) {
		ret->state = GPU_GONE;
		return;
	}
	if (pci_is_asleep(card->dir)) {
		ret->state = GPU_ASLEEP;
		return;
	}

	if (read_card_memory(drm, card, &total, &used) && total > 0 && used <= total) {
		ret->total_bytes = total;
		ret->used_bytes = used;
		ret->free_bytes = total - used;
		ret->known |= GPU_MEMORY | GPU_TOTAL;
	} else {
		read_total(card, ret);
	}
	read_sensors(card, ret);
}

/* All clients of one process on one card are one row. */
static struct gpu_process *process_of(struct gpu_reading *reading, int64_t pid)
{
	for (size_t i = 0; i < reading->process_count; i++)
		if (reading->processes[i].pid == pid)
			return &reading->processes[i];

	struct gpu_process *process = gpu_reading_add(reading);
	process->pid = pid;
	process->use = GPU_DRM;
	process->bytes_known = true;
	return process;
}

static void drm_processes(void *source, const struct gpu_device *device, struct gpu_reading *ret)
{
	struct drm *drm = source;
	bool shared_counts = device->integrated || device->unified;

	for (size_t i = 0; i < drm->clients.count; i++) {
		const struct drm_client *client = &drm->clients.v[i];
		const struct drm_fdinfo *info = &client->info;
		if (strcmp(info->pdev, device->pci) != 0)
			continue;

		struct gpu_process *process = process_of(ret, client->pid);
		bool known = info->card.known || (shared_counts && info->shared.known);
		process->bytes_known &= known;
		process->vram_bytes += info->card.known ? info->card.bytes : 0;
		if (shared_counts && info->shared.known)
			process->vram_bytes += info->shared.bytes;
	}

	ret->processes_partial = drm->clients.partial;
	ret->known |= GPU_PROCESSES;
}

const struct gpu_source_ops gpu_drm = {
	.name = "drm",
	.open = drm_open,
	.list = drm_list,
	.begin = drm_begin,
	.read = drm_read,
	.processes = drm_processes,
	.close = drm_close,
};
