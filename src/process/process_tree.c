/* process_tree: a snapshot of /proc, reduced to one process's descendants. */
#include "process/process_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/pidfd.h"
#include "process/proc.h"
#include "process/proc_parse.h"

enum { FIRST_CAPACITY = 256 };

static void read_all(struct process_tree *tree)
{
	DIR *proc = opendir("/proc");
	size_t capacity = 0;
	pid_t pid;

	while ((pid = proc_next(proc)) > 0) {
		struct proc_stat stat;
		if (!proc_stat(pid, &stat) || proc_is_dead(&stat))
			continue;
		if (tree->count == capacity) {
			capacity = capacity ? 2 * capacity : FIRST_CAPACITY;
			tree->v = reallocarray(tree->v, capacity, sizeof(*tree->v));
			if (!tree->v)
				abort();
		}
		tree->v[tree->count++] =
			(struct process){pid, (pid_t)stat.parent, stat.start, stat.state};
	}

	if (proc)
		(void)closedir(proc);
}

/* Moves the children of `parent` after the first `found`; returns the new number found. */
static size_t find_children(struct process_tree *tree, size_t found, pid_t parent, pid_t except)
{
	for (size_t i = found; i < tree->count; i++) {
		struct process process = tree->v[i];
		if (process.parent != parent || process.pid == except)
			continue;
		tree->v[i] = tree->v[found];
		tree->v[found++] = process;
	}
	return found;
}

void process_tree_read(struct process_tree *tree, pid_t root, pid_t except)
{
	*tree = (struct process_tree){0};
	read_all(tree);

	size_t found = find_children(tree, 0, root, except);
	for (size_t i = 0; i < found; i++)
		found = find_children(tree, found, tree->v[i].pid, except);
	tree->count = found;
}

static bool is_known(const struct process_tree *known, const struct process *process)
{
	for (size_t i = 0; i < known->count; i++)
		if (known->v[i].pid == process->pid && known->v[i].start == process->start)
			return true;
	return false;
}

void process_tree_read_known(struct process_tree *tree, const struct process_tree *known)
{
	*tree = (struct process_tree){0};
	read_all(tree);

	size_t found = 0;
	for (size_t i = 0; i < tree->count; i++) {
		struct process process = tree->v[i];
		if (!is_known(known, &process))
			continue;
		tree->v[i] = tree->v[found];
		tree->v[found++] = process;
	}

	for (size_t i = 0; i < found; i++)
		found = find_children(tree, found, tree->v[i].pid, 0);
	tree->count = found;
}

static bool is_child_of_any(const struct process *dropped, size_t count, pid_t parent)
{
	for (size_t i = 0; i < count; i++)
		if (dropped[i].pid == parent)
			return true;
	return false;
}

void process_tree_leave_out(struct process_tree *tree, const struct process_tree *others)
{
	struct process *dropped = calloc(tree->count + 1, sizeof(*dropped));
	size_t left = 0, count = 0;
	if (!dropped)
		abort();

	for (size_t i = 0; i < tree->count; i++) {
		struct process process = tree->v[i];
		if (is_known(others, &process) || is_child_of_any(dropped, count, process.parent))
			dropped[count++] = process;
		else
			tree->v[left++] = process;
	}
	tree->count = left;
	free(dropped);
}

int process_signal(const struct process *process, int signo)
{
	cleanup_close int pidfd = -1;
	int err;
	enum liveness liveness = pidfd_open_checked(process->pid, process->start, &pidfd, &err);

	if (liveness == LIVENESS_WATCHED)
		return pidfd_signal(pidfd, signo);
	return liveness == LIVENESS_GONE ? -ESRCH : -err;
}

void process_tree_signal(const struct process_tree *tree, int signo)
{
	for (size_t i = 0; i < tree->count; i++)
		(void)process_signal(&tree->v[i], signo);
}

void process_tree_finish(struct process_tree *tree)
{
	free(tree->v);
	*tree = (struct process_tree){0};
}
