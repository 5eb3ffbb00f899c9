/* pci: see pci.h. */
#include "gpu/pci.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/device.h"
#include "gpu/files.h"

enum { CLASS_DISPLAY = 0x03 };

/* "0x10de" and a newline. */
static bool read_hex(const char *dir, const char *file, unsigned long *ret_value)
{
	char text[32], *end;

	if (gpu_file_read(text, sizeof(text), "%s/%s", dir, file) <= 0 || strncmp(text, "0x", 2))
		return false;
	*ret_value = strtoul(text + 2, &end, 16);
	return end != text + 2;
}

static bool is_display(const char *dir, unsigned vendor)
{
	unsigned long value;

	return read_hex(dir, "vendor", &value) && value == vendor &&
	       read_hex(dir, "class", &value) && value >> 16 == CLASS_DISPLAY;
}

bool pci_is_asleep(const char *device_dir)
{
	char text[32];

	return gpu_file_read(text, sizeof(text), "%s/power/runtime_status", device_dir) > 0 &&
	       strncmp(text, "suspend", 7) == 0; /* suspended, or suspending */
}

/* Calls `take` for each display device of the vendor; false ends it. */
static void each_display(const char *sysfs, unsigned vendor,
			 bool (*take)(void *ctx, const char *address, const char *dir), void *ctx)
{
	char path[GPU_PATH_BYTES];
	struct dirent *entry;

	(void)snprintf(path, sizeof(path), "%s/bus/pci/devices", sysfs);
	DIR *devices = opendir(path);
	while (devices && (entry = readdir(devices))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/bus/pci/devices/%.32s", sysfs,
			       entry->d_name);
		if (is_display(path, vendor) && !take(ctx, entry->d_name, path))
			break;
	}
	if (devices)
		(void)closedir(devices);
}

static bool count_one(void *ctx, const char *address, const char *dir)
{
	(void)address, (void)dir;
	*(unsigned *)ctx += 1;
	return true;
}

unsigned pci_count_displays(const char *sysfs, unsigned vendor)
{
	unsigned count = 0;

	each_display(sysfs, vendor, count_one, &count);
	return count;
}

struct sleepers {
	struct gpu_device *devices;
	size_t count, max;
	bool awake;
};

static bool take_asleep(void *ctx, const char *address, const char *dir)
{
	struct sleepers *sleepers = ctx;
	unsigned long model = 0, vendor = 0;

	sleepers->awake |= !pci_is_asleep(dir);
	if (sleepers->awake || sleepers->count == sleepers->max)
		return !sleepers->awake;

	(void)read_hex(dir, "vendor", &vendor);
	struct gpu_device *device = &sleepers->devices[sleepers->count++];
	*device = (struct gpu_device){
		.nvml_index = -1, .maker_index = -1, .vendor = (unsigned)vendor, .measures = true};
	(void)snprintf(device->pci, sizeof(device->pci), "%.31s", address);
	(void)read_hex(dir, "device", &model);
	(void)snprintf(device->model, sizeof(device->model), "NVIDIA device %04lx", model);
	return true;
}

int pci_list_asleep(const char *sysfs, unsigned vendor, struct gpu_device *ret_devices, size_t max)
{
	struct sleepers sleepers = {.devices = ret_devices, .max = max};

	each_display(sysfs, vendor, take_asleep, &sleepers);
	if (sleepers.awake)
		return -EAGAIN;

	gpu_device_number(ret_devices, sleepers.count);
	return (int)sleepers.count;
}
