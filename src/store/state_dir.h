/* state_dir: the state folder and the lock in it that keeps a second broker out. */
#pragma once
#include <stddef.h>

enum { FOLDER_FULL = 1 };

/* Creates `dir` (0700, with parents) if missing and takes its lock. 0 and two descriptors, the
 * second -1 if the lock file cannot be created; FOLDER_FULL if the disk is too full for the folder;
 * or -ERR_ALREADY_RUNNING or -ERR_IO, also if one of its files is not a regular file; all but 0
 * with `detail`. */
int state_dir_open(const char *dir, int *ret_dir_fd, int *ret_lock_fd, char *detail,
		   size_t detail_size);
/* Takes -1. Gives the lock back. */
void state_dir_close(int dir_fd, int lock_fd);
/* Creates the file if missing (0600) and removes access for others. 1: created, 0: it existed,
 * -ERR_IO if the disk is full or it is not writable, -ERR_CONFIG if something else is in its place;
 * both with `detail`. */
int state_dir_private_file(int dir_fd, const char *dir, const char *name, char *detail,
			   size_t detail_size);
