/* child: processes under `baton run`. With a terminal the command stays in our process group, so
 * that Ctrl-C, Ctrl-Z and full-screen programs work as without us; without one it leads its own.
 * What it leaves behind comes to us (subreaper) and is found by walking /proc. It knows nothing of
 * leases. */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/pidfd.h"
#include "process/proc.h"

struct process {
	pid_t pid, parent;
	bool is_ours;
};

struct processes {
	struct process *all;
	size_t count, capacity;
};

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

/* In the new process. Says on `error_fd` why it did not work. */
static void run_command(const struct child *child, char *const *argv, const sigset_t *mask,
			pid_t parent, int entry_fd, int error_fd)
{
	if (child->own_group)
		setpgid(0, 0);
	if (entry_fd >= 0 && write(entry_fd, "0", 1) < 0)
		entry_fd = -1;                                    /* then it is found without */
	signal(SIGPIPE, child->pipe_ignored ? SIG_IGN : SIG_DFL); /* we ignore it ourselves */
	sigprocmask(SIG_SETMASK, mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent) /* else we died before that line */
		execvp(argv[0], argv);
	int error = errno;
	ssize_t written = write(error_fd, &error, sizeof(error));
	_exit(written == sizeof(error) ? 127 : 126);
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

static int lookup_file(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return errno == EACCES ? EACCES : ENOENT;
	return S_ISREG(st.st_mode) && access(path, X_OK) == 0 ? 0 : EACCES;
}

int child_lookup(const char *name)
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
		int r = n > 0 && n < (int)sizeof(path) ? lookup_file(path) : ENOENT;
		if (r == 0)
			return 0;
		if (r == EACCES)
			error = EACCES;
		at = at[length] ? at + length + 1 : NULL;
	}
	return error;
}

int child_spawn(struct child *child, char *const *argv, const sigset_t *mask, int entry_fd)
{
	int pipe_fds[2], error = 0;
	pid_t parent = getpid();
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return errno;
	cleanup_close int read_fd = pipe_fds[0], write_fd = pipe_fds[1];
	pid_t pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0)
		run_command(child, argv, mask, parent, entry_fd, write_fd);
	close(take_fd(&write_fd));
	if (child->own_group)
		setpgid(pid, pid); /* whoever comes first; EACCES: it has already executed */
	child->pid = pid;
	child->pidfd = pidfd_open(pid, 0);
	ssize_t got = read(read_fd, &error, sizeof(error));
	if (got == 0 && child->pidfd >= 0)
		return 0;
	if (got == 0) {
		error = errno;
		kill(pid, SIGKILL);
	}
	waitpid(pid, &child->status, 0);
	child->ended = true;
	return error ? error : EIO;
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
	/* It has ended and was not among them: its status is lost, its end is not. */
	pid_t pid = waitpid(child->pid, &child->status, WNOHANG);
	child->ended = true;
	child->status_unknown = pid != child->pid;
}

void child_restore_tty(const struct child *child)
{
	/* In the background this would stop us. */
	if (child->tty_fd >= 0 && tcgetpgrp(child->tty_fd) == getpgrp())
		tcsetattr(child->tty_fd, TCSADRAIN, &child->tty_before);
}

/* ---- descendants ---- */

static void list_processes(struct processes *list)
{
	DIR *proc = opendir("/proc");
	pid_t pid;
	while ((pid = proc_next(proc)) > 0) {
		pid_t parent = (pid_t)proc_parent(pid);
		if (parent == 0)
			continue;
		if (list->count == list->capacity) {
			list->capacity = list->capacity ? 2 * list->capacity : 256;
			list->all = reallocarray(list->all, list->capacity, sizeof(*list->all));
			if (!list->all)
				abort();
		}
		list->all[list->count++] = (struct process){.pid = pid, .parent = parent};
	}
	if (proc)
		closedir(proc);
}

static bool is_ours(const struct processes *list, pid_t pid)
{
	if (pid == getpid())
		return true;
	for (size_t i = 0; i < list->count; i++)
		if (list->all[i].pid == pid)
			return list->all[i].is_ours;
	return false;
}

/* Sends to exactly the process that was seen: a number that was given to another meanwhile has
 * another parent. */
static void signal_process(const struct process *process, int signo)
{
	cleanup_close int pidfd = pidfd_open(process->pid, 0);
	if (pidfd >= 0 && proc_parent(process->pid) == process->parent)
		(void)pidfd_signal(pidfd, signo);
}

size_t child_signal_all(const struct child *child, int signo)
{
	struct processes list = {0};
	size_t found = 0, before;
	list_processes(&list);
	do {
		before = found;
		for (size_t i = 0; i < list.count; i++) {
			struct process *process = &list.all[i];
			if (process->is_ours || process->pid == child->keeper_pid ||
			    !is_ours(&list, process->parent))
				continue;
			process->is_ours = true;
			found++;
			if (signo)
				signal_process(process, signo);
		}
	} while (found > before);
	free(list.all);
	return found;
}
