/* child: processes under `baton run`. With a terminal the command stays in our process group, so
 * that Ctrl-C, Ctrl-Z and full-screen programs work as without us; without one it leads its own.
 * What it leaves behind comes to us (subreaper). It knows nothing of leases. */
#include "cli/run/child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/pidfd.h"
#include "process/process_tree.h"
#include "process/spawn.h"

void child_init(struct child *child)
{
	struct sigaction pipe;
	*child = (struct child){.pidfd = -1};
	child->pipe_ignored = sigaction(SIGPIPE, NULL, &pipe) == 0 && pipe.sa_handler == SIG_IGN;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	child->tty_fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	child->own_group = child->tty_fd < 0;
	if (child->tty_fd >= 0 && tcgetattr(child->tty_fd, &child->tty_before) < 0) {
		close(child->tty_fd);
		child->tty_fd = -1;
	}
}

void child_finish(struct child *child)
{
	if (child->pidfd >= 0)
		close(child->pidfd);
	if (child->tty_fd >= 0)
		close(child->tty_fd);
	child->pidfd = child->tty_fd = -1;
}

void child_forget(struct child *child)
{
	if (child->pidfd >= 0)
		close(child->pidfd);
	child->pid = 0;
	child->pidfd = -1;
	child->status = 0;
	child->ended = child->status_unknown = false;
}

int child_spawn(struct child *child, char *const *argv, const sigset_t *mask, int entry_fd)
{
	const struct spawn spawn = {
		.argv = argv,
		.mask = mask,
		.cgroup_entry_fd = entry_fd,
		.own_group = child->own_group,
		.ignores_sigpipe = child->pipe_ignored, /* we ignore it ourselves */
	};
	int error = spawn_command(&spawn, &child->pid, &child->pidfd);
	child->ended = error != 0;
	return error;
}

void child_signal(const struct child *child, int signo)
{
	if (child->pid == 0 || child->ended)
		return;
	if (child->own_group)
		kill(-child->pid, signo);
	else
		(void)pidfd_signal(child->pidfd, signo);
}

void child_reap(struct child *child)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0)
			break;
		if (pid == child->pid) {
			child->status = status;
			child->ended = true;
		}
		if (pid == child->keeper_pid)
			child->keeper_pid = 0;
	}

	struct pollfd exit = {.fd = child->pidfd, .events = POLLIN};
	if (child->pid == 0 || child->ended || poll(&exit, 1, 0) <= 0)
		return;
	/* It has ended but somebody else has reaped it: only its status is lost. */
	pid_t pid = waitpid(child->pid, &child->status, WNOHANG);
	child->ended = true;
	child->status_unknown = pid != child->pid;
}

void child_restore_tty(const struct child *child)
{
	/* From a background group this would stop us. */
	if (child->tty_fd >= 0 && tcgetpgrp(child->tty_fd) == getpgrp())
		tcsetattr(child->tty_fd, TCSADRAIN, &child->tty_before);
}

size_t child_signal_all(const struct child *child, int signo)
{
	struct process_tree tree;
	process_tree_read(&tree, getpid(), child->keeper_pid);
	if (signo)
		process_tree_signal(&tree, signo);

	size_t count = tree.count;
	process_tree_finish(&tree);
	return count;
}
