/* late_processes: see late_processes.h. Remembers nothing. */
#include "server/late_processes.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/record.h"
#include "process/proc.h"
#include "process/proc_parse.h"
#include "process/process_tree.h"
#include "process/run_mark.h"

enum { ROUNDS_MAX = 8 };

static bool is_excluded(const struct process *process, int64_t keeper, int64_t uid)
{
	return process->pid == keeper || process->pid == getpid() ||
	       (uid >= 0 && proc_status(process->pid).uid != uid);
}

static struct process_tree join_roots(const struct process_tree *known,
				      const struct named_processes *named)
{
	struct process_tree roots = {
		.v = calloc(known->count + named->count + 1, sizeof(*roots.v))};
	if (!roots.v)
		abort();

	for (; roots.count < known->count; roots.count++)
		roots.v[roots.count] = known->v[roots.count];
	for (uint32_t i = 0; i < named->count; i++)
		if (named->v[i].pid != named->keeper)
			roots.v[roots.count++] = (struct process){.pid = (pid_t)named->v[i].pid,
								  .start = named->v[i].pid_start};
	return roots;
}

static void add_root(struct process_tree *roots, int64_t pid, uint64_t start)
{
	roots->v = reallocarray(roots->v, roots->count + 1, sizeof(*roots->v));
	if (!roots->v)
		abort();
	roots->v[roots->count++] = (struct process){.pid = (pid_t)pid, .start = start};
}

/* Those whose parents are dead are in no tree any more. The start is read before and after: all is
 * of one process. */
static void add_marked(struct process_tree *roots, const struct named_processes *named)
{
	pid_t pid;
	DIR *proc = named->mark[0] ? opendir("/proc") : NULL;

	while ((pid = proc_next(proc)) > 0) {
		uint64_t start = proc_start(pid);
		if (pid != getpid() && run_mark_has(pid, named->mark) && proc_start(pid) == start)
			add_root(roots, pid, start);
	}
	if (proc)
		(void)closedir(proc);
}

void late_processes_read(const struct process_tree *known, const struct named_processes *named,
			 int64_t uid, struct process_tree *ret_tree)
{
	struct process_tree roots = join_roots(known, named);
	add_marked(&roots, named);
	size_t kept = 0;

	*ret_tree = (struct process_tree){0};
	if (roots.count > 0)
		process_tree_read_known(ret_tree, &roots);
	for (size_t i = 0; i < ret_tree->count; i++)
		if (!is_excluded(&ret_tree->v[i], named->keeper, uid))
			ret_tree->v[kept++] = ret_tree->v[i];
	ret_tree->count = kept;
	process_tree_finish(&roots);
}

void late_processes_kill(const struct process_tree *known, const struct named_processes *named,
			 int64_t uid)
{
	struct process_tree tree;
	size_t stopped = 0;

	late_processes_read(known, named, uid, &tree);
	for (int i = 0; i < ROUNDS_MAX && tree.count > stopped; i++) {
		stopped = tree.count;
		process_tree_signal(&tree, SIGSTOP);
		process_tree_finish(&tree);
		late_processes_read(known, named, uid, &tree);
	}

	process_tree_signal(&tree, SIGKILL);
	process_tree_finish(&tree);
}
