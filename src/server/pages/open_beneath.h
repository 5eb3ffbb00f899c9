/* open_beneath: opens a file below a folder, and never one that is elsewhere. */
#pragma once
#include <sys/stat.h>

/* `path` is relative, such as "vendor/idb.js". 0 with an open descriptor, or -ERR_NOT_FOUND: there
 * is no such file, it is no regular file, or the way to it is none that may be taken: an empty
 * name, one that begins with a dot, a symbolic link. */
int open_beneath(const char *root, const char *path, int *ret_fd, struct stat *ret_stat);
