/* cgroup_divide: lets a controller of the kernel count in a cgroup below this process's own one,
 * where the one in between does not pass it on yet. Needs no root where that belongs to this user.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"

enum { CGROUP_PATH_BYTES = LIMIT_CGROUP_BYTES + 256 };

struct cgroup_divide {
	char parent[CGROUP_PATH_BYTES]; /* whose controllers are passed on */
	char leaf[CGROUP_PATH_BYTES];   /* where this process has moved to; "": nowhere */
	char undo[64];                  /* what they were: "-dmem -memory" */
};

/* `path` as in a tree that a test made: /sys/fs/cgroup/.. is below `root`; NULL: as it is. False:
 * too long. */
bool cgroup_divide_place(const char *path, const char *root, char ret_path[CGROUP_PATH_BYTES]);
/* Whether the controller counts in this folder: by a file that it makes there. */
bool cgroup_divide_counts(const char *folder, const char *file);
/* Passes the controller on to `folder` and what else is beside it; also several, one by one, by one
 * and the same `divide`, zeros at first. What passes a controller on may hold no process itself, so
 * this one moves to a cgroup beside `folder`, if it is alone. False, and why not in words. */
bool cgroup_divide_begin(struct cgroup_divide *divide, const char *folder, const char *controller,
			 char *ret_why, size_t size);
/* Once `folder` is gone: this process is back where it was. Where it had not to move, others may
 * rely on the controllers by now, so they stay. */
void cgroup_divide_end(struct cgroup_divide *divide);
/* For another process that is dead, and had to move. */
void cgroup_divide_undo(const char *parent);
