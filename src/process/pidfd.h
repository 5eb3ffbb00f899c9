/* pidfd: whether another process is alive, and signals that reach it and never a later one with the
 * same pid. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum liveness {
	LIVENESS_WATCHED, /* a pidfd is open */
	LIVENESS_GONE,
	LIVENESS_UNKNOWN, /* no pidfd available: it may be alive */
};

/* Opens a pidfd for the process that began at `start` (0: any start time). UNKNOWN:
 * *ret_err is an errno; *ret_fd is -1 unless WATCHED. */
enum liveness pidfd_open_checked(int64_t pid, uint64_t start, int *ret_fd, int *ret_err);
/* For the process that connected a Unix socket, whatever its PID namespace; -1: not supported by
 * the kernel, or no descriptor is free. The caller closes it. */
int pidfd_of_peer(int socket_fd);
bool pidfd_is_gone(int fd);
int pidfd_signal(int fd, int signo); /* 0 or a negative errno; signo 0 only checks */
