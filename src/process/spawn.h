/* spawn: starts a command that cannot outlive its parent unnoticed, and reports why if it cannot be
 * executed. */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct spawn {
	char *const *argv;
	const sigset_t *mask; /* its signal mask */
	int cgroup_fd;        /* the folder of the cgroup to start in; -1: this process's */
	bool own_group;       /* leads a process group of its own */
	bool takes_tty;       /* which becomes the foreground group of tty_fd */
	int tty_fd;
	bool ignores_sigpipe, ignores_sighup;
	uint64_t mark; /* run_mark_limit; 0: none */
};

/* Whether execvp would find the command: 0, ENOENT or EACCES. */
int spawn_lookup(const char *name);
/* The command gets SIGKILL when the calling thread dies. 0, or the errno of the failure; then there
 * is no process and *ret_pidfd is -1. */
int spawn_command(const struct spawn *spawn, pid_t *ret_pid, int *ret_pidfd);
