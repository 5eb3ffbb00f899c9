/* fault_vfs: a SQLite VFS over the usual one that dies or fails at its n-th write, and the same for
 * the plain writes of code that is linked with these wrapped: pwrite64, fdatasync,
 * posix_fallocate64. For tests of the store. */
#pragma once
#include <stdbool.h>

enum fault {
	FAULT_NONE, /* count only */
	FAULT_KILL, /* SIGKILL to ourselves instead of the write */
	FAULT_TEAR, /* half of the write, then SIGKILL; headers stay whole, as they do in a kernel
		     */
	FAULT_FULL, /* no space left */
	FAULT_IO,   /* EIO */
};

struct fault_plan {
	enum fault fault;
	unsigned at;    /* the n-th operation, from 1 */
	bool for_ever;  /* it and all after it, else only it */
	unsigned count; /* operations so far */
};

/* Makes it SQLite's default; `plan` is borrowed and may be changed at any time. */
void fault_vfs_install(struct fault_plan *plan);
