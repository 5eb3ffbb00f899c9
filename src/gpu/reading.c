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

const struct gpu_cgroup *gpu_reading_cgroup(const struct gpu_reading *reading, const char *path)
{
	for (size_t i = 0; i < reading->cgroup_count; i++)
		if (strcmp(reading->cgroups[i].path, path) == 0)
			return &reading->cgroups[i];
	return NULL;
}

void gpu_reading_finish(struct gpu_reading *reading)
{
	free(reading->cgroups);
	reading->cgroups = NULL;
	reading->cgroup_count = 0;
	free(reading->processes);
	reading->processes = NULL;
	reading->process_count = 0;
}
