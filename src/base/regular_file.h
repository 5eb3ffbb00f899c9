/* regular_file: opening a file by a path that somebody else may have put something at. A FIFO there
 * would keep a plain open waiting for its other end for ever, a device could do anything. Every
 * file of Baton's own, of its configuration and of its state is opened so (tools/check/tidy.py). */
#pragma once
#include <stdio.h>
#include <sys/types.h>

/* As openat, but never waits and opens regular files only; close-on-exec. -1 with errno. */
int regular_file_open_at(int dir_fd, const char *path, int flags, mode_t mode);
int regular_file_open(const char *path, int flags, mode_t mode);

/* For reading; NULL with errno. */
FILE *regular_file_stream(const char *path);

/* As strerror, for the errno of the functions above. */
const char *regular_file_error(int error);
