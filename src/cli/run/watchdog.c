/* watchdog: the kernel kills only the direct child of a wrapper that dies (PR_SET_PDEATHSIG), and
 * the broker gives the GPU to the next claim at that moment. What that child had started would keep
 * computing on a GPU that is no longer its own. So this process waits for the wrapper's end and
 * then kills every process that was started with its mark or is in its cgroup.
 * It holds no descriptor but the terminal's, so it keeps neither the session nor a pipe open. */
#include "cli/run/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/run/terminal.h"
#include "process/cgroup_divide.h"
#include "process/job_cgroup.h"
#include "process/pidfd.h"
#include "process/proc.h"
#include "process/proc_parse.h"
#include "process/process_tree.h"
#include "process/run_mark.h"

enum {
	KILLED_MAX = 256,
	ROUND_MS = 10,
	MARKS_BYTES = 1024,
	NAMED_MAX = 4096,
};

/* Its descriptors. */
enum { PIPE_FD = STDERR_FILENO + 1, TTY_FD, FIRST_FREE_FD };

struct keeping {
	const char *mark;
	struct job_cgroup *cgroup;
	struct cgroup_divide *divide;
	struct terminal *terminal;
	pid_t caller_group;
};

struct killed {
	struct pollfd fds[KILLED_MAX];
	size_t count;
};

/* The mark is read again once the process is pinned by its pidfd, so a reused pid is safe. That of
 * an exiting process can perhaps not be read while it still has the GPU's device open, so each
 * pidfd is kept until the process is really gone. */
static bool kill_marked(const char *mark, struct killed *killed)
{
	bool found = false;
	pid_t pid;
	DIR *proc = opendir("/proc");

	while ((pid = proc_next(proc)) > 0) {
		if (pid == getpid() || !run_mark_has(pid, mark))
			continue;
		cleanup_close int pidfd = pidfd_open(pid, 0);
		if (pidfd < 0 || !run_mark_has(pid, mark))
			continue;

		found = true;
		(void)pidfd_signal(pidfd, SIGKILL);
		if (killed->count < KILLED_MAX)
			killed->fds[killed->count++] =
				(struct pollfd){.fd = take_fd(&pidfd), .events = POLLIN};
	}
	if (proc)
		closedir(proc);
	return found;
}

/* Waits briefly for the killed processes; any that appeared since are killed in the next round. */
static void await_killed(struct killed *killed)
{
	poll(killed->fds, killed->count, ROUND_MS);
	size_t left = 0;
	for (size_t i = 0; i < killed->count; i++) {
		struct pollfd *fd = &killed->fds[i];
		if (poll(fd, 1, 0) > 0)
			close(fd->fd);
		else
			killed->fds[left++] = *fd;
	}
	killed->count = left;
}

/* The wrapper's messages: processes to kill, and that all is well (pid 0). */
static struct process named[NAMED_MAX];
static size_t named_count;

/* True: an orderly end. False: the wrapper is gone. */
static bool await_end(void)
{
	struct process said;
	for (;;) {
		ssize_t n = read(PIPE_FD, &said, sizeof(said));
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(said))
			return false;
		if (said.pid == 0)
			return true;
		named[named_count++ % NAMED_MAX] = said;
	}
}

static void kill_named(void)
{
	for (size_t i = 0; i < named_count && i < NAMED_MAX; i++)
		(void)process_signal(&named[i], SIGKILL);
}

/* Whether the group in the foreground is of the command, which is gone or will be at once. */
static bool is_of_command(pid_t group, const char *mark)
{
	struct proc_stat stat;
	return !proc_stat(group, &stat) || proc_is_dead(&stat) || run_mark_has(group, mark);
}

/* The wrapper can no longer. Once its caller reads the terminal must be the caller's, so this comes
 * first. A caller that is gone, too, has no use for it. */
static void give_back_terminal(const struct keeping *keeping)
{
	int fd = keeping->terminal->fd;
	pid_t group = fd < 0 ? -1 : tcgetpgrp(fd);
	if (group < 0 || kill(-keeping->caller_group, 0) < 0)
		return;
	if (group != keeping->caller_group && !is_of_command(group, keeping->mark))
		return;
	tcsetpgrp(fd, keeping->caller_group);
	tcsetattr(fd, TCSANOW, &keeping->terminal->ours);
}

static _Noreturn void keep_watch(const struct keeping *keeping)
{
	static struct killed killed;
	const char *mark = keeping->mark;
	struct job_cgroup *cgroup = keeping->cgroup;
	if (await_end())
		_exit(0);

	give_back_terminal(keeping);
	job_cgroup_reopen(cgroup);
	/* Repeats until none is left: processes forked meanwhile were not on the list. */
	for (;;) {
		cgroup_kill(&cgroup->fds);
		kill_named();
		bool found = kill_marked(mark, &killed);
		if (!found && killed.count == 0 && !job_cgroup_populated(cgroup))
			break;
		await_killed(&killed);
	}
	give_back_terminal(keeping); /* it may have changed the modes meanwhile */
	job_cgroup_remove(cgroup);
	cgroup_divide_end(keeping->divide);
	_exit(0);
}

/* Runs in the new process, which keeps nothing of the wrapper's but the pipe and the terminal. A
 * group of its own keeps the terminal's keys away; it must stay in the session to use it. */
static _Noreturn void become_keeper(int fd, struct keeping *keeping)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "baton-keeper");
	keeping->caller_group = getpgrp();
	setpgid(0, 0);

	int null_fd = open("/dev/null", O_RDWR);
	int pipe_fd = fcntl(fd, F_DUPFD, FIRST_FREE_FD), tty_fd = -1;
	if (keeping->terminal->fd >= 0)
		tty_fd = fcntl(keeping->terminal->fd, F_DUPFD, FIRST_FREE_FD);

	for (int i = 0; i <= STDERR_FILENO; i++)
		dup2(null_fd, i);
	dup2(pipe_fd, PIPE_FD);
	keeping->terminal->fd = tty_fd >= 0 ? dup2(tty_fd, TTY_FD) : -1;
	closefrom(keeping->terminal->fd >= 0 ? TTY_FD + 1 : PIPE_FD + 1);
	keep_watch(keeping);
}

static int set_mark(struct watchdog *keeper)
{
	unsigned char random[WATCHDOG_RANDOM_BYTES];
	char marks[MARKS_BYTES];
	const char *before = getenv("BATON_RUN");
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(keeper->mark + 2 * i, 3, "%02x", random[i]);
	bool keep = before && *before && strlen(before) + sizeof(keeper->mark) + 1 < sizeof(marks);
	snprintf(marks, sizeof(marks), "%s%s%s", keep ? before : "", keep ? "," : "", keeper->mark);
	return setenv("BATON_RUN", marks, 1) < 0 ? errno : 0;
}

int watchdog_start(struct watchdog *keeper, const struct job_cgroup *cgroup,
		   const struct cgroup_divide *divide, const struct terminal *terminal)
{
	int fds[2];
	struct job_cgroup own = *cgroup;
	struct cgroup_divide divided = *divide;
	struct terminal tty = *terminal;
	struct keeping keeping = {
		.mark = keeper->mark, .cgroup = &own, .divide = &divided, .terminal = &tty};
	int rc = *keeper->mark ? 0 : set_mark(keeper);
	if (rc)
		return rc;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return errno;

	pid_t pid = fork();
	if (pid == 0)
		become_keeper(fds[0], &keeping);
	int error = errno;
	close(fds[0]);
	if (pid < 0) {
		close(fds[1]);
		return error;
	}

	if (keeper->fd >= 0)
		close(keeper->fd);
	keeper->pid = pid;
	keeper->fd = fds[1];
	return 0;
}

/* Shorter than PIPE_BUF, so never in parts. */
static void say_to_keeper(struct watchdog *keeper, const struct process *process)
{
	while (write(keeper->fd, process, sizeof(*process)) < 0 && errno == EINTR)
		;
}

void watchdog_name(struct watchdog *keeper, const struct process *processes, size_t count)
{
	for (size_t i = 0; keeper->pid != 0 && i < count; i++)
		say_to_keeper(keeper, &processes[i]);
}

void watchdog_dismiss(struct watchdog *keeper)
{
	if (keeper->pid == 0)
		return;
	say_to_keeper(keeper, &(struct process){0});
	close(keeper->fd);
	while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*keeper = (struct watchdog){.fd = -1};
}
