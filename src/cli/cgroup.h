/* cgroup: a cgroup v2 of its own for what `baton run` starts, where that is permitted. Nothing
 * leaves it by forking, changing its name or its environment, the kernel says when it is empty, and
 * one write kills all of it. */
#pragma once
#include <signal.h>
#include <stdbool.h>

#include "base/limits.h"

struct cgroup {
	char path[LIMIT_CGROUP_BYTES + 1]; /* "": none */
	int events_fd; /* POLLPRI: it may have become empty; -1: none, or removed */
};

/* Makes one below our own, anew where somebody removed it. Without the right to, or without cgroup
 * v2, there is none. */
void cgroup_make(struct cgroup *cgroup);
/* In a new process that has closed what it inherited. */
void cgroup_reopen(struct cgroup *cgroup);
/* For a new process to write "0" to; -1: none. The caller's to close. */
int cgroup_open_entry(const struct cgroup *cgroup);
/* Whether anything alive is in it. Takes note of an event, and of its removal by somebody else. */
bool cgroup_populated(struct cgroup *cgroup);
/* SIGKILL to all of it at once. */
void cgroup_kill(const struct cgroup *cgroup);
/* Takes it away once it is empty. */
void cgroup_remove(struct cgroup *cgroup);
