/* device: whether two are the same, their numbers, and the names of their states. Reads nothing. */
#include "gpu/device.h"

#include <string.h>

bool gpu_device_is(const struct gpu_device *a, const struct gpu_device *b)
{
	if (a->uuid[0] && b->uuid[0])
		return strcmp(a->uuid, b->uuid) == 0;
	/* Instances share their card's address. */
	if (a->parent[0] || b->parent[0])
		return false;
	return a->pci[0] && strcmp(a->pci, b->pci) == 0;
}

/* Instances have no number of their own. */
static bool is_numbered(const struct gpu_device *device)
{
	return device->vendor && device->pci[0] && !device->parent[0];
}

void gpu_device_number(struct gpu_device *devices, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int before = 0;
		for (size_t j = 0; j < count; j++)
			before += is_numbered(&devices[j]) &&
				  devices[j].vendor == devices[i].vendor &&
				  strcmp(devices[j].pci, devices[i].pci) < 0;
		devices[i].maker_index = is_numbered(&devices[i]) ? before : -1;
	}
}

const char *gpu_state_name(int state)
{
	static const char *const names[GPU_STATE_COUNT] = {
#define X(code, name, text) [code] = name,
		GPU_STATE_TABLE(X)
#undef X
	};
	return state >= 0 && state < GPU_STATE_COUNT ? names[state] : "failed";
}

const char *gpu_state_text(int state)
{
	static const char *const texts[GPU_STATE_COUNT] = {
#define X(code, name, text) [code] = text,
		GPU_STATE_TABLE(X)
#undef X
	};
	return state >= 0 && state < GPU_STATE_COUNT ? texts[state] : "";
}
