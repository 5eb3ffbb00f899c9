/* job_cgroup: a separate cgroup for what this process starts, where permitted. Processes cannot
 * leave it by forking or by changing their name or environment, the kernel reports when it is
 * empty, and one write kills all of it. */
#pragma once
#include "base/limits.h"
#include "process/cgroup.h"

struct job_cgroup {
	char path[LIMIT_CGROUP_BYTES + 1]; /* "": none */
	struct cgroup fds;                 /* CGROUP_NONE: none, or removed */
};

#define JOB_CGROUP_NONE ((struct job_cgroup){.fds = CGROUP_NONE})

/* Creates "NAME-PID" below this process's own cgroup; again if it was removed. None without
 * permission or cgroup v2, or where something lives in one of that name. What dead processes have
 * left beside it of `baton run` is removed: empty, and of this user. */
void job_cgroup_make(struct job_cgroup *job, const char *name);
/* For a new process that has closed its inherited descriptors. */
void job_cgroup_reopen(struct job_cgroup *job);
/* For a new process to write "0" to; -1: none. The caller closes it. */
int job_cgroup_open_entry(const struct job_cgroup *job);
/* Whether it has live processes. Notices if it was removed by others. */
bool job_cgroup_populated(struct job_cgroup *job);
/* How many of its processes were killed for want of memory; -1: not counted. */
int64_t job_cgroup_oom_kills(const struct job_cgroup *job);
/* Removes it once it is empty. */
void job_cgroup_remove(struct job_cgroup *job);
/* The same for that of a `baton run` that is dead, by its path, with what was done to divide the
 * one around it. Any other is left alone. */
void job_cgroup_clear(const char *path);
