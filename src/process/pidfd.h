/* pidfd: one process of another program: whether it lives, and signals that hit it and no later one
 * with its pid. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum liveness {
	LIVENESS_WATCHED, /* there is a pidfd */
	LIVENESS_GONE,
	LIVENESS_UNKNOWN, /* no pidfd could be had: it may live */
};

/* Opens a pidfd for the process that began at `start` (0: whichever has the pid now). UNKNOWN:
 * *ret_err is an errno; *ret_fd is -1 unless WATCHED. */
enum liveness pidfd_open_checked(int64_t pid, uint64_t start, int *ret_fd, int *ret_err);
/* For the very process that connected a Unix socket, whatever PID namespace it is in; -1: the
 * kernel has none to give, or no descriptor is free. The caller's to close. */
int pidfd_of_peer(int socket_fd);
bool pidfd_is_gone(int fd);
int pidfd_signal(int fd, int signo); /* 0 or a negative errno; signo 0 asks only */
