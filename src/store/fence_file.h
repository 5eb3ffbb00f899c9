/* fence_file: what must be known even when the journal is lost, in a small file of its own: the
 * numbers that must never go back, and how long leases may outlive the broker. One file beside the
 * journal is synced to disk; a copy is kept beside the socket. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fence_marks {
	uint64_t fence_max, epoch; /* highest fence reserved; of the newest start */
	uint64_t ttl_ms;           /* the longest that a lease may outlive its broker; 0: unknown */
	uint32_t boot;             /* of the machine, by fence_boot; 0: unknown */
	bool idle;                 /* the broker ended, and nobody held or waited */
};

/* A number for a boot id, never 0. */
uint32_t fence_boot(const char *boot_id);
/* The newest marks on disk; zeros when there is no file or nothing in it is whole. Returns 1 if the
 * file exists, 0 if not, -ERR_IO with `detail`. `name` lies in the folder dir_fd, or is a whole
 * path. */
int fence_file_read(int dir_fd, const char *name, struct fence_marks *ret_marks, char *detail,
		    size_t detail_size);
/* 0: written, and with `sync` on disk. -ERR_IO: the previous marks are still there. */
int fence_file_write(int dir_fd, const char *name, const struct fence_marks *marks, bool sync);
