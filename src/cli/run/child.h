/* child: the command of `baton run` and everything it started: spawned, signalled, and stopped so
 * that nothing of it continues without the lease. */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_tree;
struct terminal;

struct child {
	pid_t pid;         /* 0: not started */
	int pidfd;         /* readable once it has ended; -1: not started */
	bool pipe_ignored; /* SIGPIPE, by whoever started us: the command inherits that */
	bool own_group;    /* leads a process group of its own */
	struct process_tree
		*known; /* not started by us: all that was seen of it; else NULL; owned */
	struct process_tree *before; /* not of the command: our descendants when we began, since a
					shell may execute us with children; NULL: none; owned */
	uint64_t mark;               /* of what it starts: run_mark_limit; 0: none */
	pid_t keeper_pid; /* the watchdog, which is not part of the command; 0: none, or reaped */
	bool ended;
	int stopped;         /* the signal that has stopped it; 0: it goes on */
	int status;          /* of waitpid, once it has ended */
	bool status_unknown; /* somebody else has reaped it */
};

enum { CHILDREN_BYTES = 64 * 1024, CHILDREN_BYTES_LEFT = 16 }; /* left: of a list that is whole */

/* Call first: makes us the parent of whatever the command leaves behind. */
void child_init(struct child *child);
void child_finish(struct child *child);

/* Forgets the previous command, before the next child_spawn. */
void child_forget(struct child *child);
/* Starts argv with `mask` as its signal mask, in the cgroup of this folder (-1: ours), and gives
 * it the terminal. A terminal that hangs up does not end it, as under nohup. It gets SIGKILL should
 * we die. 0 or the errno of why it could not be executed. */
int child_spawn(struct child *child, char *const *argv, const sigset_t *mask, int cgroup_fd,
		struct terminal *terminal);
/* Instead of child_spawn: a program that runs already. Takes the pidfd. */
void child_attach(struct child *child, pid_t pid, uint64_t start, int pidfd);
/* All that belongs to it now. */
void child_tree(const struct child *child, struct process_tree *ret_tree);
/* Passes a signal on to the command; those that stop and continue, to its group. */
void child_signal(const struct child *child, int signo);
/* Whether it is in our process group, where the terminal's keys reach it without us. */
bool child_shares_group(const struct child *child);
/* Records everything that has ended or stopped. */
void child_reap(struct child *child);
/* The pids of our children as the kernel lists them, also of the dead until they are reaped, which
 * nobody but us does: none is missed. Each with a blank behind it, as many as fit. Returns the
 * length; 0: not known. */
size_t child_list(char *ret_text, size_t size);
/* Whether we have no child but the keeper, and those that we had before. Then nothing is left of
 * the command: whatever is, is behind a child of ours. False: that is not known. */
bool child_is_alone(const struct child *child, bool *ret_alone);
/* SIGKILL to all children but those, several times: one that forks and is gone before a look at
 * /proc is over is caught here. Not of an attached program, whose orphans are not ours. */
void child_kill_orphans(const struct child *child);
/* Sends a signal to everything that stems from the command, however it hid: other groups, sessions,
 * double forks. Returns how many there are. 0 as signal only counts. */
size_t child_signal_all(const struct child *child, int signo);
