/* fence_file: the two numbers that must never go back, in a file of their own beside the journal
 * and synced to the disk: the highest fence reserved, and the epoch. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct fence_marks {
	uint64_t fence_max, epoch;
};

/* The highest marks on disk; zeros when there is no file or nothing in it is whole. Returns 1 if
 * the file exists, 0 if not, -ERR_IO with `detail`. */
int fence_file_read(int dir_fd, struct fence_marks *ret_marks, char *detail, size_t detail_size);
/* On the disk when it returns 0; -ERR_IO otherwise, and the marks before are still there. */
int fence_file_write(int dir_fd, const struct fence_marks *marks);
