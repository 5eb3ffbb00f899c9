/* run_sender: recognises the broker by its program's name, because we do not know the pid of one
 * that restarted while we were disconnected. An outer `baton run` has that name, too, and passes on
 * its user's signals; so our ancestors do not count. */
#include "cli/run/run_sender.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/run/run_end_words.h"
#include "process/proc.h"
#include "process/unit_of.h"

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
		return true; /* from outside our pid namespace */

	proc_name(PROC_SELF, ours, sizeof(ours));
	proc_name(pid, theirs, sizeof(theirs));
	return *ours && strcmp(ours, theirs) == 0 && !is_ancestor(pid);
}

void run_sender_note_unit(const struct signalfd_siginfo *info, struct run_end *end)
{
	char name[32], path[LIMIT_CGROUP_BYTES + 1];

	/* SIGHUP comes with it; alone it asks a service to read its configuration. */
	if (info->ssi_signo != SIGTERM || info->ssi_code == SI_KERNEL || info->ssi_pid == 0)
		return;
	if (info->ssi_uid != 0 && info->ssi_uid != getuid())
		return;
	proc_name(info->ssi_pid, name, sizeof(name));
	if (strcmp(name, "systemd") == 0 && proc_cgroup(PROC_SELF, path, sizeof(path)))
		end->ended_by = (int)unit_of_cgroup(path, end->unit, sizeof(end->unit));
}
