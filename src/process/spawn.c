/* spawn: fork, execvp, and a pipe that reports whether the latter succeeded. */
#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/run_mark.h"

static int lookup_file(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return errno == EACCES ? EACCES : ENOENT;
	return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : EACCES;
}

int spawn_lookup(const char *name)
{
	const char *paths = getenv("PATH");
	int error = ENOENT;

	if (strchr(name, '/'))
		return lookup_file(name);

	for (const char *at = paths ? paths : "/bin:/usr/bin"; *name && at;) {
		char path[PATH_MAX];
		size_t length = strcspn(at, ":");
		int n = snprintf(path, sizeof(path), "%.*s%s%s", (int)length, at,
				 length ? "/" : "./", name);
		int found = n > 0 && n < (int)sizeof(path) ? lookup_file(path) : ENOENT;

		if (found == 0)
			return 0;
		if (found == EACCES)
			error = EACCES;
		at = at[length] ? at + length + 1 : NULL;
	}
	return error;
}

static void block_signal(int signo)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signo);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What reached this process in its parent's group reached the parent, too, which passes it on. */
static void discard_signals(void)
{
	static const int signals[] = {SIGINT, SIGQUIT, SIGTSTP, SIGHUP, SIGTERM, SIGWINCH};
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct sigaction before;
		sigaction(signals[i], NULL, &before);
		signal(signals[i], SIG_IGN);
		sigaction(signals[i], &before, NULL);
	}
}

/* It begins in there, at once: to move it afterwards would take a grace period of RCU, 10 ms and
 * more. Fails where the kernel cannot, or a sandbox forbids it. */
static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)cgroup_fd};
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void move_into(int cgroup_fd)
{
	cleanup_close int entry_fd =
		openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	if (entry_fd < 0 || write(entry_fd, "0", 1) < 0)
		errno = 0; /* the job is then found by other means */
}

/* In the new process. Reports on `error_fd` why it failed. */
static _Noreturn void execute_command(const struct spawn *spawn, pid_t parent, int error_fd)
{
	if (spawn->own_group) {
		setpgid(0, 0);
		discard_signals();
	}
	if (spawn->takes_tty) {
		block_signal(SIGTTOU); /* else asking for the terminal would stop us */
		tcsetpgrp(spawn->tty_fd, getpid());
	}

	signal(SIGPIPE, spawn->ignores_sigpipe ? SIG_IGN : SIG_DFL);
	if (spawn->ignores_sighup)
		signal(SIGHUP, SIG_IGN);
	sigprocmask(SIG_SETMASK, spawn->mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_mark_leave(spawn->mark);

	if (getppid() == parent) /* else the parent died before prctl */
		execvp(spawn->argv[0], spawn->argv);

	int error = errno;
	ssize_t written = write(error_fd, &error, sizeof(error));
	_exit(written == sizeof(error) ? 127 : 126);
}

/* What the new process reports: 0, or the errno of the failed exec. */
static int await_execution(int read_fd)
{
	int error = 0;
	ssize_t length;
	while ((length = read(read_fd, &error, sizeof(error))) < 0 && errno == EINTR)
		;
	if (length == 0) /* closed by a successful exec */
		return 0;
	return length == sizeof(error) && error ? error : EIO;
}

int spawn_command(const struct spawn *spawn, pid_t *ret_pid, int *ret_pidfd)
{
	int pipe_fds[2];
	pid_t parent = getpid();

	*ret_pid = 0;
	*ret_pidfd = -1;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return errno;

	cleanup_close int read_fd = pipe_fds[0], write_fd = pipe_fds[1];
	pid_t pid = spawn->cgroup_fd >= 0 ? fork_into(spawn->cgroup_fd) : -1;
	bool inside = pid >= 0;
	if (!inside)
		pid = fork();
	if (pid < 0)
		return errno;

	if (pid == 0) {
		if (!inside && spawn->cgroup_fd >= 0)
			move_into(spawn->cgroup_fd);
		execute_command(spawn, parent, write_fd);
	}

	close(take_fd(&write_fd));
	if (spawn->own_group)
		setpgid(pid, pid); /* in both processes, against the race; EACCES: it has already
				      executed */

	int pidfd = pidfd_open(pid, 0);
	int open_error = pidfd < 0 ? errno : 0;
	int error = await_execution(read_fd);
	if (error == 0 && pidfd >= 0) {
		*ret_pid = pid;
		*ret_pidfd = pidfd;
		return 0;
	}

	if (error == 0)
		kill(pid, SIGKILL); /* our child and not reaped: the pid is still valid */
	waitpid(pid, NULL, 0);
	if (pidfd >= 0)
		close(pidfd);
	return error ? error : open_error;
}
