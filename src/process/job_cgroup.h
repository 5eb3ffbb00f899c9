/* job_cgroup: a cgroup of its own for what this process starts, where that is permitted. Nothing
 * leaves it by forking, changing its name or its environment, the kernel says when it is empty, and
 * one write kills all of it. */
#pragma once
#include "base/limits.h"
#include "process/cgroup.h"

struct job_cgroup {
	char path[LIMIT_CGROUP_BYTES + 1]; /* "": none */
	struct cgroup fds;                 /* CGROUP_NONE: there is none, or it was removed */
};

#define JOB_CGROUP_NONE ((struct job_cgroup){.fds = CGROUP_NONE})

/* Makes "NAME-PID" below our own, anew where somebody removed it. Without the right to, or without
 * cgroup v2, there is none. */
void job_cgroup_make(struct job_cgroup *job, const char *name);
/* In a new process that has closed what it inherited. */
void job_cgroup_reopen(struct job_cgroup *job);
/* For a new process to write "0" to; -1: none. The caller's to close. */
int job_cgroup_open_entry(const struct job_cgroup *job);
/* Whether anything alive is in it. Takes note of its removal by somebody else. */
bool job_cgroup_populated(struct job_cgroup *job);
/* Takes it away once it is empty. */
void job_cgroup_remove(struct job_cgroup *job);
