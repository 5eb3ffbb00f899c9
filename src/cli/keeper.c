/* keeper: the kernel kills only the direct child of a wrapper that dies (PR_SET_PDEATHSIG), and the
 * broker gives the GPU to the next one in that moment. What that child had started would go on
 * computing on a GPU that is not its own. So this process waits for the wrapper's end and then
 * kills whoever carries its mark in the environment it was started with. It holds no other
 * descriptor, so it keeps neither the session nor a pipe open. */
#include "cli/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { ENVIRON_BYTES_MAX = 256 * 1024, ROUNDS_MAX = 200, ROUND_MS = 10 };

enum { RANDOM_BYTES = 16, MARK_BYTES = 10 + 2 * RANDOM_BYTES + 1 };

/* "BATON_RUN=" and random digits: leases of two brokers may have one number, marks never. */
struct mark {
	char entry[MARK_BYTES];
};

static bool has_entry(const char *block, size_t length, const char *entry)
{
	size_t entry_length = strlen(entry) + 1; /* with its NUL */
	for (const char *at = block; at < block + length;
	     at += strnlen(at, (size_t)(block + length - at)) + 1)
		if ((size_t)(block + length - at) >= entry_length &&
		    memcmp(at, entry, entry_length) == 0)
			return true;
	return false;
}

static bool is_marked(pid_t pid, const struct mark *mark, char *block)
{
	char path[64];
	size_t length = 0;
	ssize_t n;
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (length < ENVIRON_BYTES_MAX &&
	       (n = read(fd, block + length, ENVIRON_BYTES_MAX - length)) > 0)
		length += (size_t)n;
	return has_entry(block, length, mark->entry);
}

/* Returns how many were found. The mark is read once more after the process is pinned by its pidfd,
 * so a number that was given to another meanwhile is safe. */
static size_t kill_marked(const struct mark *mark, char *block)
{
	size_t found = 0;
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid <= 0 || pid == getpid() || !is_marked(pid, mark, block))
			continue;
		cleanup_close int pidfd = pidfd_open(pid, 0);
		if (pidfd < 0 || !is_marked(pid, mark, block))
			continue;
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		found++;
	}
	if (proc)
		closedir(proc);
	return found;
}

static _Noreturn void keep(int fd, const struct mark *mark)
{
	char orderly;
	ssize_t n;
	while ((n = read(fd, &orderly, 1)) < 0 && errno == EINTR)
		;
	if (n == 1)
		_exit(0);
	char *block = malloc(ENVIRON_BYTES_MAX);
	/* Again until none is left: who forked meanwhile was not on the list. */
	for (int i = 0; block && i < ROUNDS_MAX && kill_marked(mark, block) > 0; i++) {
		const struct timespec pause = {.tv_nsec = ROUND_MS * 1000000};
		nanosleep(&pause, NULL);
	}
	_exit(0);
}

/* In the new process: nothing of the wrapper's is kept but the pipe. */
static _Noreturn void become_keeper(int fd, const struct mark *mark)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "baton-keeper");
	setsid(); /* the terminal's signals and job control are not for us */
	int null_fd = open("/dev/null", O_RDWR);
	for (int i = 0; i <= STDERR_FILENO; i++)
		dup2(null_fd, i);
	dup2(fd, STDERR_FILENO + 1);
	closefrom(STDERR_FILENO + 2);
	keep(STDERR_FILENO + 1, mark);
}

static int set_mark(struct mark *mark)
{
	unsigned char random[RANDOM_BYTES];
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return EIO;
	int length = snprintf(mark->entry, sizeof(mark->entry), "BATON_RUN=");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(mark->entry + length + 2 * i, 3, "%02x", random[i]);
	return setenv("BATON_RUN", mark->entry + length, 1) < 0 ? errno : 0;
}

int keeper_start(struct keeper *keeper)
{
	int fds[2];
	struct mark mark;
	*keeper = (struct keeper){.fd = -1};
	int r = set_mark(&mark);
	if (r)
		return r;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return errno;
	pid_t pid = fork();
	if (pid == 0)
		become_keeper(fds[0], &mark);
	int error = errno;
	close(fds[0]);
	if (pid < 0) {
		close(fds[1]);
		return error;
	}
	*keeper = (struct keeper){.pid = pid, .fd = fds[1]};
	return 0;
}

void keeper_dismiss(struct keeper *keeper)
{
	if (keeper->pid == 0)
		return;
	while (write(keeper->fd, "x", 1) < 0 && errno == EINTR)
		;
	close(keeper->fd);
	while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*keeper = (struct keeper){.fd = -1};
}
