/* keeper: a second process beside `baton run` that outlives it by a moment, to end what the command
 * started when the wrapper itself is killed. */
#pragma once
#include <sys/types.h>

#include "cli/cgroup.h"

struct keeper {
	pid_t pid; /* 0: none */
	int fd;    /* our end of its pipe; -1: none */
};

/* Starts it, and sets BATON_RUN, a mark that only what we start from here on inherits. It also ends
 * what is in the cgroup, and exits when nothing is left. 0 or an errno. */
int keeper_start(struct keeper *keeper, const struct cgroup *cgroup);
/* All is over in good order: it goes without doing anything. */
void keeper_dismiss(struct keeper *keeper);
