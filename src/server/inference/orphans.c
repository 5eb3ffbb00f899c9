/* orphans: see orphans.h. Read anew each time, since what is killed may just have forked. */
#include "server/inference/orphans.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void orphans_begin(struct orphans *orphans)
{
	if (orphans->begun)
		return;
	orphans->begun = true;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	process_tree_read(&orphans->before, getpid(), 0);
}

static bool was_before(const struct orphans *orphans, const struct process *process)
{
	for (size_t i = 0; i < orphans->before.count; i++) {
		const struct process *known = &orphans->before.v[i];
		if (known->pid == process->pid && known->start == process->start)
			return true;
	}
	return false;
}

static bool is_kept(const struct orphans *orphans, const struct process *process)
{
	return orphans->is_keeper(orphans->ctx, process->pid) || was_before(orphans, process);
}

/* Drops what is kept, with its descendants; parents stand before their children. */
static void drop_kept(const struct orphans *orphans, struct process_tree *tree)
{
	pid_t *kept = calloc(tree->count + 1, sizeof(*kept)), session = getsid(0);
	size_t kept_count = 0, left = 0;

	if (!kept)
		abort();
	for (size_t i = 0; i < tree->count; i++) {
		struct process process = tree->v[i];
		bool keep = is_kept(orphans, &process);

		for (size_t k = 0; k < kept_count && !keep; k++)
			keep = kept[k] == process.parent;
		if (keep)
			kept[kept_count++] = process.pid;
		else if (getsid(process.pid) != session)
			tree->v[left++] = process;
	}
	tree->count = left;
	free(kept);
}

/* A keeper that has died is waited for by whoever watches it. */
static void reap_dead(const struct orphans *orphans)
{
	siginfo_t info = {0};

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0 &&
	       !orphans->is_keeper(orphans->ctx, info.si_pid)) {
		(void)waitpid(info.si_pid, NULL, WNOHANG);
		info.si_pid = 0;
	}
}

size_t orphans_kill(const struct orphans *orphans)
{
	struct process_tree tree;
	size_t count;

	process_tree_read(&tree, getpid(), 0);
	drop_kept(orphans, &tree);
	process_tree_signal(&tree, SIGKILL);
	count = tree.count;
	process_tree_finish(&tree);
	reap_dead(orphans);
	return count;
}

void orphans_finish(struct orphans *orphans)
{
	process_tree_finish(&orphans->before);
}
