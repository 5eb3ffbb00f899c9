/* crowd: counts the connections of each local process, so that one that leaks them cannot lock out
 * the others. Private to src/net. */
#pragma once
#include <stdint.h>

#include "base/hash.h"

struct crowd_process {
	struct hash_node node;
	int64_t pid; /* 0: processes unknown to the kernel's peer lookup (another pid namespace) */
	unsigned count;
};

struct crowd {
	struct hash processes;
	unsigned sessions; /* line sessions of all processes */
};

void crowd_init(struct crowd *crowd);
void crowd_finish(struct crowd *crowd); /* after the last crowd_leave */
unsigned crowd_count(const struct crowd *crowd, int64_t pid);
/* Counts one more. NULL: out of memory, not counted. */
struct crowd_process *crowd_enter(struct crowd *crowd, int64_t pid);
void crowd_leave(struct crowd *crowd, struct crowd_process *process); /* takes NULL */
