/* cgroup: one cgroup of the v2 hierarchy: whether anything lives in it, who is in it, and how to
 * end all of it at once. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cgroup {
	int dir_fd, events_fd; /* -1: not open; events_fd, POLLPRI: it may have become empty */
};

#define CGROUP_NONE ((struct cgroup){-1, -1})

enum { CGROUP_DEPTH_MAX = 16 }; /* of cgroups below one that are looked through */

/* `path`: absolute, without links or detours, a cgroup but not the root. 0, or a negative errno:
 * -ENOENT when it is gone, -EINVAL when it is no cgroup. */
int cgroup_open(const char *path, struct cgroup *ret_cgroup);
void cgroup_close(struct cgroup *cgroup);
/* 1: something lives in it or below it; 0: nothing does; -ENODEV: it was removed, so nothing does;
 * another negative errno: it cannot be told. */
int cgroup_populated(const struct cgroup *cgroup);
/* SIGKILL to all that lives in it and below it, but never to this process. */
void cgroup_kill(const struct cgroup *cgroup);
int64_t cgroup_owner(const struct cgroup *cgroup); /* -1: unknown */
/* 1: the process (PROC_SELF: this one) is in it or below it; 0: it is not; a negative errno: it
 * cannot be told. */
int cgroup_holds(const struct cgroup *cgroup, int64_t pid);
