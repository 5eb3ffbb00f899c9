/* pidfd: asks the kernel about processes. Keeps nothing and decides nothing. Called by processes.c
 * and by who checks what a client names. */
#include "server/pidfd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/proc.h"

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
	uint64_t now = start ? proc_start(pid) : 0;
	if (now != start && (now != 0 || pidfd_is_gone(fd))) {
		(void)close(fd);
		return LIFE_GONE;
	}
	*ret_fd = fd;
	return LIFE_WATCHED;
}
