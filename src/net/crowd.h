/* crowd: how many connections each local process has, so that one that leaks them does not lock
 * everybody else out. Private to src/net. */
#pragma once
#include <stdint.h>

#include "base/hash.h"

struct crowd_process {
	struct hash_node node;
	int64_t pid; /* 0: those that the kernel does not name (another pid namespace) */
	unsigned count;
};

struct crowd {
	struct hash processes;
	unsigned sessions; /* line sessions of all processes */
};

void crowd_init(struct crowd *crowd);
void crowd_finish(struct crowd *crowd); /* after the last crowd_leave */
unsigned crowd_count(const struct crowd *crowd, int64_t pid);
/* One more; NULL: out of memory, then it is not counted. */
struct crowd_process *crowd_enter(struct crowd *crowd, int64_t pid);
void crowd_leave(struct crowd *crowd, struct crowd_process *process); /* takes NULL */
