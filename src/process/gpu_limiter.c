/* gpu_limiter: see gpu_limiter.h. */
#include "process/gpu_limiter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/gpu_entry.h"
#include "process/pidfd.h"

enum { PATIENCE_MS = 5000, NUMBER_BYTES = 24 };

static const char program_name[] = "baton-gpu-limit";
static const char no_answer[] = "NVIDIA's driver does not answer";

bool gpu_limiter_find(char *ret_path, size_t size)
{
	struct stat st;
	return gpu_entry_beside(program_name, ret_path, size) && stat(ret_path, &st) == 0 &&
	       (geteuid() == 0 || (st.st_uid == 0 && (st.st_mode & S_ISUID)));
}

static _Noreturn void become_program(char *const *words, int said_fd)
{
	sigset_t none;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(said_fd, STDERR_FILENO);
	execv(words[0], words);
	_exit(127);
}

/* One that hangs in the driver may not even be killed: it is left alone then. */
static bool await_end(pid_t pid, int *ret_status)
{
	cleanup_close int pidfd = pidfd_open(pid, 0);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	int ready;
	while ((ready = poll(&end, 1, PATIENCE_MS)) < 0 && errno == EINTR)
		;
	if (ready == 1)
		return waitpid(pid, ret_status, 0) == pid;

	(void)pidfd_signal(pidfd, SIGKILL);
	return false;
}

/* Without the program's name, which precedes it. */
static void read_words(int fd, char *ret_why, size_t size)
{
	char said[512];
	ssize_t length = read(fd, said, sizeof(said) - 1);
	said[length > 0 ? length : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';

	const char *words = strstr(said, ": ");
	if (said[0])
		(void)snprintf(ret_why, size, "%s", words ? words + 2 : said);
}

bool gpu_limiter_set(const char *uuid, const char *cgroup, uint64_t bytes, char *ret_why,
		     size_t size)
{
	static bool hangs; /* it would again, for each GPU */
	char path[PATH_MAX], number[NUMBER_BYTES] = "max";
	int fds[2], status = 0;
	if (!gpu_limiter_find(path, sizeof(path))) {
		(void)snprintf(ret_why, size, "%s is not set up (baton doctor)", program_name);
		return false;
	}
	if (hangs || pipe2(fds, O_CLOEXEC) < 0) {
		(void)snprintf(ret_why, size, "%s", hangs ? no_answer : strerror(errno));
		return false;
	}

	cleanup_close int read_fd = fds[0], write_fd = fds[1];
	if (bytes != UINT64_MAX)
		(void)snprintf(number, sizeof(number), "%" PRIu64, bytes);
	char *const words[] = {path, (char *)uuid, (char *)cgroup, number, NULL};
	pid_t pid = fork();
	if (pid == 0)
		become_program(words, write_fd);
	close(take_fd(&write_fd));

	(void)snprintf(ret_why, size, "%s cannot be started", program_name);
	if (pid < 0)
		return false;
	if (!await_end(pid, &status)) {
		(void)snprintf(ret_why, size, "%s", no_answer);
		hangs = true;
		return false;
	}
	read_words(read_fd, ret_why, size);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
