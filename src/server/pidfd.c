/* pidfd: asks the kernel about processes. Keeps nothing and decides nothing. Called by processes.c
 * and by who checks what a client names. */
#include "server/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Empty where it cannot be read. */
static void read_proc(int64_t pid, const char *file, char *ret_text, size_t size)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%lld/%s", (long long)pid, file);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, ret_text, size - 1);
	ret_text[got > 0 ? got : 0] = '\0';
}

/* Counted from the last parenthesis, for a name may hold anything. */
uint64_t pid_start_of(int64_t pid)
{
	char text[1024];
	read_proc(pid, "stat", text, sizeof text);
	char *at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

static const char *status_line(char *text, const char *key)
{
	char *at = strstr(text, key);
	char *end = at ? strchr(at + 1, '\n') : NULL;
	if (!end)
		return NULL;
	*end = '\0';
	return at + strlen(key);
}

int64_t pid_uid_of(int64_t pid)
{
	char text[4096];
	read_proc(pid, "status", text, sizeof text);
	const char *uid = status_line(text, "\nUid:");
	return uid ? strtoll(uid, NULL, 10) : -1;
}

bool pid_is_nested(int64_t pid)
{
	char text[4096], *rest = NULL;
	read_proc(pid, "status", text, sizeof text);
	const char *numbers = status_line(text, "\nNSpid:");
	if (!numbers)
		return false;
	(void)strtoll(numbers, &rest, 10);
	return rest[strspn(rest, " \t")] != '\0';
}

bool pidfd_is_gone(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) > 0;
}

int pidfd_signal(int fd, int signo)
{
	return syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) == 0 ? 0 : -errno;
}

/* The pidfd first, then the check: from there on the number cannot be used again unseen. A kernel
 * without pidfds still knows which numbers nobody has. */
enum life pidfd_open_checked(int64_t pid, uint64_t start, int *ret_fd, int *ret_err)
{
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	*ret_fd = -1;
	*ret_err = fd < 0 ? errno : 0;
	if (fd < 0 && *ret_err != ESRCH && (kill((pid_t)pid, 0) == 0 || errno != ESRCH))
		return LIFE_UNKNOWN;
	if (fd < 0)
		return LIFE_GONE;
	uint64_t now = start ? pid_start_of(pid) : 0;
	if (now != start && (now != 0 || pidfd_is_gone(fd))) {
		(void)close(fd);
		return LIFE_GONE;
	}
	*ret_fd = fd;
	return LIFE_WATCHED;
}
