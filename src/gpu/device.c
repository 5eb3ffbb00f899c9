/* device: whether two are the same, and the names of their states. Reads nothing. */
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
