/* orphans: what a keeper leaves behind when it is killed itself. The broker is the next subreaper
 * above it (prctl(2), PR_SET_CHILD_SUBREAPER), so that all that the keeper held becomes the
 * broker's child, and what forks goes on being found. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "process/process_tree.h"

struct orphans {
	bool begun;
	struct process_tree before; /* what this process had under it, when it began */
	bool (*is_keeper)(const void *ctx, pid_t pid);
	const void *ctx;
};

/* From now on this process takes over what its children leave behind. The first call counts. */
void orphans_begin(struct orphans *orphans);
/* Kills all that was taken over, and reaps what has died of it: descendants of this process but the
 * keepers and theirs, and what is in its own session, which nothing of a keeper's is. Returns how
 * many lived; call it again until there are none. */
size_t orphans_kill(const struct orphans *orphans);
void orphans_finish(struct orphans *orphans);
