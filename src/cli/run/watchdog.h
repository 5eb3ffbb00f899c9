/* watchdog: a second process beside `baton run` that outlives it by a moment, to end what the
 * command started when the wrapper itself is killed. */
#pragma once
#include <sys/types.h>

#include "process/job_cgroup.h"

enum { WATCHDOG_RANDOM_BYTES = 16 };

struct watchdog {
	pid_t pid; /* 0: none */
	int fd;    /* our end of its pipe; -1: none */
	/* Random digits: leases of two brokers may have one number, marks never. "": none yet. */
	char mark[2 * WATCHDOG_RANDOM_BYTES + 1];
};

/* Starts it, and sets BATON_RUN, a mark that only what we start from here on inherits. It also ends
 * what is in the cgroup, and exits when nothing is left. One that was started before and has been
 * reaped is replaced by one that looks for the same mark. 0 or an errno. */
int watchdog_start(struct watchdog *keeper, const struct job_cgroup *cgroup);
/* All is over in good order: it goes without doing anything. */
void watchdog_dismiss(struct watchdog *keeper);
