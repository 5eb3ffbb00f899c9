/* child: the command of `baton run` and everything it started: spawned, signalled, and stopped so
 * that nothing of it continues without the lease. */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <termios.h>

struct child {
	pid_t pid;         /* 0: not started */
	int pidfd;         /* readable once it has ended; -1: not started */
	bool pipe_ignored; /* SIGPIPE, by whoever started us: the command inherits that */
	bool own_group;    /* leads a process group of its own: there is no terminal to share */
	pid_t keeper_pid;  /* the watchdog, which is not part of the command; 0: none, or reaped */
	bool ended;
	int status;          /* of waitpid, once it has ended */
	bool status_unknown; /* somebody else has reaped it */
	int tty_fd;          /* -1: no terminal */
	struct termios tty_before;
};

/* Call first: makes us the parent of whatever the command leaves behind, and finds the terminal. */
void child_init(struct child *child);
void child_finish(struct child *child);

/* Forgets the previous command, before the next child_spawn. */
void child_forget(struct child *child);
/* Starts argv with `mask` as its signal mask, in the cgroup behind `entry_fd` (-1: ours). It gets
 * SIGKILL should we die. 0 or the errno of why it could not be executed. */
int child_spawn(struct child *child, char *const *argv, const sigset_t *mask, int entry_fd);
/* Passes a signal on to the command. */
void child_signal(const struct child *child, int signo);
/* Records everything that has ended. */
void child_reap(struct child *child);
/* Sends a signal to everything that stems from the command, however it hid: other groups, sessions,
 * double forks. Returns how many there are. 0 as signal only counts. */
size_t child_signal_all(const struct child *child, int signo);
/* Puts the terminal back as it was before a command that could not clean up. */
void child_restore_tty(const struct child *child);
