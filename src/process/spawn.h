/* spawn: starts a command so that it cannot outlive us unseen, and says why if it cannot be
 * executed. */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct spawn {
	char *const *argv;
	const sigset_t *mask; /* its signal mask */
	int cgroup_entry_fd;  /* cgroup.procs of the cgroup to start in; -1: ours */
	bool own_group;       /* leads a process group of its own */
	bool ignores_sigpipe;
};

/* Whether a command can be found, as execvp would: 0, ENOENT or EACCES. */
int spawn_lookup(const char *name);
/* It gets SIGKILL should the calling thread die. 0 or the errno of why it could not be executed;
 * then there is no process and *ret_pidfd is -1. */
int spawn_command(const struct spawn *spawn, pid_t *ret_pid, int *ret_pidfd);
