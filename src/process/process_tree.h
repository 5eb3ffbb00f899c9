/* process_tree: all descendants of a process, also those in other groups or sessions, behind a
 * double fork, or under another name. Complete if that process is a subreaper. Concurrent forks may
 * be missed: read again until it is empty. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid, parent;
	uint64_t start; /* proc_start: differs for a later process with the same pid */
	char state;     /* as in proc_stat */
};

struct process_tree {
	struct process *v; /* parents before their children; excludes the root and the dead */
	size_t count;
};

/* Reads the descendants of `root`, without `except` and its descendants. Aborts on allocation
 * failure.
 */
void process_tree_read(struct process_tree *tree, pid_t root, pid_t except);
/* Those of `known` that live still, and all descendants of these. */
void process_tree_read_known(struct process_tree *tree, const struct process_tree *known);
/* Drops those of `others`, with all their descendants. */
void process_tree_leave_out(struct process_tree *tree, const struct process_tree *others);
/* Signals exactly these processes, parents first. */
void process_tree_signal(const struct process_tree *tree, int signo);
/* One of them. 0, or a negative errno: -ESRCH if it is gone, -EPERM if we may not. */
int process_signal(const struct process *process, int signo);
void process_tree_finish(struct process_tree *tree);
