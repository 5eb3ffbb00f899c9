/* reading: the lists and names of readings. Reads nothing itself. */
#include "gpu/reading.h"

#include <stdlib.h>
#include <string.h>

enum { PROCESSES_FIRST = 16 };

struct gpu_process *gpu_reading_add(struct gpu_reading *reading)
{
	size_t count = reading->process_count;

	/* Full at each power of two from the first on. */
	if (count == 0 || (count >= PROCESSES_FIRST && (count & (count - 1)) == 0)) {
		size_t capacity = count ? 2 * count : PROCESSES_FIRST;
		reading->processes =
			reallocarray(reading->processes, capacity, sizeof(*reading->processes));
		if (!reading->processes)
			abort();
	}

	reading->processes[count] = (struct gpu_process){0};
	reading->process_count++;
	return &reading->processes[count];
}

void gpu_reading_finish(struct gpu_reading *reading)
{
	free(reading->processes);
	reading->processes = NULL;
	reading->process_count = 0;
}

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
