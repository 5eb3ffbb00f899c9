/* pidfd: queries the kernel about processes; stateless. */
#include "process/pidfd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process/proc.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

bool pidfd_is_gone(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) > 0;
}

int pidfd_signal(int fd, int signo)
{
	return pidfd_send_signal(fd, signo, NULL, 0) == 0 ? 0 : -errno;
}

int pidfd_of_peer(int socket_fd)
{
	int pidfd = -1;
	socklen_t length = sizeof(pidfd);
	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) != 0)
		return -1;
	return pidfd;
}

/* Opens the pidfd first and checks afterwards: from then on, reuse of the pid would be noticed.
 * Without pidfds, kill still tells which pids are unused. */
enum liveness pidfd_open_checked(int64_t pid, uint64_t start, int *ret_fd, int *ret_err)
{
	int fd = pidfd_open((pid_t)pid, 0);
	*ret_fd = -1;
	*ret_err = fd < 0 ? errno : 0;

	if (fd < 0 && *ret_err != ESRCH && (kill((pid_t)pid, 0) == 0 || errno != ESRCH))
		return LIVENESS_UNKNOWN;
	if (fd < 0)
		return LIVENESS_GONE;

	uint64_t now = start ? proc_start(pid) : 0;
	if (now != start && (now != 0 || pidfd_is_gone(fd))) {
		(void)close(fd);
		return LIVENESS_GONE;
	}

	*ret_fd = fd;
	return LIVENESS_WATCHED;
}
