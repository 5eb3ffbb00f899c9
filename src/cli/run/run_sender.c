/* run_sender: knows the broker by its program's name, for one that was started anew while we were
 * away has a number that nobody told us. An outer `baton run` has that name, too, and passes on
 * what its user wants; so no ancestor of ours counts. Called by run.c. */
#include "cli/run/run_sender.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "process/proc.h"

enum { ANCESTORS_MAX = 64 };

static bool is_ancestor(pid_t pid)
{
	pid_t at = getppid();
	for (int i = 0; i < ANCESTORS_MAX && at > 0; i++) {
		if (at == pid)
			return true;
		at = (pid_t)proc_parent(at);
	}
	return false;
}

bool run_sender_is_broker(const struct signalfd_siginfo *info)
{
	char ours[32], theirs[32];
	pid_t pid = (pid_t)info->ssi_pid;
	if (info->ssi_signo != SIGTERM || info->ssi_code == SI_KERNEL)
		return false;
	if (pid == 0)
		return true; /* from outside of our pid namespace */

	proc_name(PROC_SELF, ours, sizeof(ours));
	proc_name(pid, theirs, sizeof(theirs));
	return *ours && strcmp(ours, theirs) == 0 && !is_ancestor(pid);
}
