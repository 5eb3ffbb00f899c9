/* state_dir: the state folder and the lock in it that keeps a second broker out. */
#pragma once
#include <stddef.h>

enum { FOLDER_FULL = 1 };

/* Makes `dir` (0700, parents too) if it is missing and takes its lock. 0 and two descriptors, the
 * second -1 where the lock's own file cannot be made; FOLDER_FULL where there is no room for the
 * folder; or -ERR_ALREADY_RUNNING or -ERR_IO; all but 0 with `detail`. */
int state_dir_open(const char *dir, int *ret_dir_fd, int *ret_lock_fd, char *detail,
		   size_t detail_size);
/* Takes -1. Gives the lock back. */
void state_dir_close(int dir_fd, int lock_fd);
/* Makes the file if it is missing (0600) and takes the rights of others away. 1: it was made, 0: it
 * was there, -ERR_IO where there is no room or no right to write it, -ERR_CONFIG where something
 * else stands in its place; both with `detail`. */
int state_dir_private_file(int dir_fd, const char *dir, const char *name, char *detail,
			   size_t detail_size);
