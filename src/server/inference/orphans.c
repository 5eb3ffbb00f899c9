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

/* Drops what is kept, with its descendants, and what is of our own session. */
static void drop_kept(const struct orphans *orphans, struct process_tree *tree)
{
	struct process_tree keepers = {.v = calloc(tree->count + 1, sizeof(*keepers.v))};
	pid_t session = getsid(0);
	size_t left = 0;

	if (!keepers.v)
		abort();
	for (size_t i = 0; i < tree->count; i++)
		if (orphans->is_keeper(orphans->ctx, tree->v[i].pid))
			keepers.v[keepers.count++] = tree->v[i];

	process_tree_leave_out(tree, &orphans->before);
	process_tree_leave_out(tree, &keepers);
	for (size_t i = 0; i < tree->count; i++)
		if (getsid(tree->v[i].pid) != session)
			tree->v[left++] = tree->v[i];
	tree->count = left;
	process_tree_finish(&keepers);
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
