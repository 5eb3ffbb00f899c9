/* cgroup2: a folder of cgroup2 that holds what a client started: whether anything lives in it, and
 * how to end all of it at once. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cgroup {
	int dir, events; /* -1: not open */
};

#define CGROUP_NONE ((struct cgroup){-1, -1})

/* `path`: absolute, without links or detours, a folder of cgroup2 but not its root. 0, or a
 * negative errno: -ENOENT when it is gone, -EINVAL when it is no such folder. */
int cgroup2_open(const char *path, struct cgroup *ret_cgroup);
void cgroup2_close(struct cgroup *cgroup);
/* Something lives in it, or nobody can tell. */
bool cgroup2_populated(const struct cgroup *cgroup);
void cgroup2_kill(const struct cgroup *cgroup);
int64_t cgroup2_owner(const struct cgroup *cgroup); /* -1: unknown */
/* The process lives in it or below it, or nobody can tell. */
bool cgroup2_may_hold(const struct cgroup *cgroup, int64_t pid);
