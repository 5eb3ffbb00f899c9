/* cgroup: one cgroup of the v2 hierarchy: whether it is populated, which processes are in it, and
 * killing all of them at once. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct cgroup {
	int dir_fd, events_fd; /* -1: not open; POLLPRI on events_fd: it may have become empty */
};

#define CGROUP_NONE ((struct cgroup){-1, -1})

enum { CGROUP_DEPTH_MAX = 16 }; /* of nested cgroups that are searched */

/* `path`: absolute, without symbolic links or "..", a cgroup but not the root. 0, or a negative
 * errno: -ENOENT if it is gone, -EINVAL if it is not a cgroup. */
int cgroup_open(const char *path, struct cgroup *ret_cgroup);
void cgroup_close(struct cgroup *cgroup);
/* 1: there are processes in it or below it; 0: there are none; -ENODEV: it was removed, so there
 * are none; another negative errno: unknown. */
int cgroup_populated(const struct cgroup *cgroup);
/* Freezes all processes in it and below it, or lets them go on: 0 or a negative errno. They are
 * frozen once cgroup_frozen says 1 (else 0, or a negative errno), which POLLPRI announces, too. */
int cgroup_freeze(const struct cgroup *cgroup, bool freeze);
int cgroup_frozen(const struct cgroup *cgroup);
/* How many of its processes the kernel has killed because memory ran out; -1: not counted here. */
int64_t cgroup_oom_kills(int dir_fd);
/* Sends SIGKILL to all processes in it and below it, but never to this one. */
void cgroup_kill(const struct cgroup *cgroup);
int64_t cgroup_owner(const struct cgroup *cgroup); /* -1: unknown */
/* 1: the process (PROC_SELF: this one) is in it or below it; 0: it is not; a negative errno:
 * unknown. */
int cgroup_holds(const struct cgroup *cgroup, int64_t pid);
