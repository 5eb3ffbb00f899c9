/* pidfd: one process of another program: whether it lives, and signals that hit it and no later one
 * with its number. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum life {
	LIFE_WATCHED, /* there is a pidfd */
	LIFE_GONE,
	LIFE_UNKNOWN, /* no pidfd could be had: it may live */
};

/* Opens a pidfd for the process that began at `start` (0: whichever has the number now). UNKNOWN:
 * *ret_err is an errno; *ret_fd is -1 unless WATCHED. */
enum life pidfd_open_checked(int64_t pid, uint64_t start, int *ret_fd, int *ret_err);
bool pidfd_is_gone(int fd);
int pidfd_signal(int fd, int signo); /* 0 or a negative errno; signo 0 asks only */
