/* crowd: see crowd.h. Only counts; the limits are the listeners' business. */
#include "net/crowd.h"

#include <assert.h>
#include <stdlib.h>

#include "base/list.h"

static struct crowd_process *find_process(const struct crowd *crowd, int64_t pid)
{
	struct hash_node *node = hash_first(&crowd->processes, hash_u64((uint64_t)pid));
	for (; node; node = hash_next(node)) {
		struct crowd_process *process = container_of(node, struct crowd_process, node);
		if (process->pid == pid)
			return process;
	}
	return NULL;
}

void crowd_init(struct crowd *crowd)
{
	*crowd = (struct crowd){0};
	hash_init(&crowd->processes);
}

void crowd_finish(struct crowd *crowd)
{
	assert(crowd->processes.count == 0);
	hash_finish(&crowd->processes);
}

unsigned crowd_count(const struct crowd *crowd, int64_t pid)
{
	const struct crowd_process *process = find_process(crowd, pid);
	return process ? process->count : 0;
}

struct crowd_process *crowd_enter(struct crowd *crowd, int64_t pid)
{
	struct crowd_process *process = find_process(crowd, pid);
	if (!process) {
		process = calloc(1, sizeof(*process));
		if (!process)
			return NULL;
		process->pid = pid;
		hash_add(&crowd->processes, &process->node, hash_u64((uint64_t)pid));
	}
	process->count++;
	return process;
}

void crowd_leave(struct crowd *crowd, struct crowd_process *process)
{
	if (!process || --process->count > 0)
		return;
	hash_remove(&crowd->processes, &process->node);
	hash_trim(&crowd->processes);
	free(process);
}
