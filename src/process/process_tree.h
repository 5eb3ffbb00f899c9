/* process_tree: everything that stems from one process, however it hid: in other groups or
 * sessions, behind a double fork, under another name. Complete where that process is a subreaper.
 * What forks meanwhile may be missed: read again until it is empty. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid, parent;
	uint64_t start; /* proc_start: whoever has the pid later began at another time */
};

struct process_tree {
	struct process
		*v; /* parents before their children; without the root, and without the dead */
	size_t count;
};

/* Reads what stems from `root`, but not `except` and what stems from that. Aborts without memory.
 */
void process_tree_read(struct process_tree *tree, pid_t root, pid_t except);
/* To exactly those processes, parents first. */
void process_tree_signal(const struct process_tree *tree, int signo);
void process_tree_finish(struct process_tree *tree);
