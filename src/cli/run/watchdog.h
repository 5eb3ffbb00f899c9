/* watchdog: a second process beside `baton run` that outlives it briefly, to end what the command
 * started if the wrapper itself is killed. */
#pragma once
#include <sys/types.h>

struct cgroup_divide;
struct job_cgroup;
struct process;
struct terminal;

enum { WATCHDOG_RANDOM_BYTES = 16 };

struct watchdog {
	pid_t pid; /* 0: none */
	int fd;    /* our end of its pipe; -1: none */
	/* Random digits: two brokers may number a lease alike, but marks are unique. "": none yet.
	 */
	char mark[2 * WATCHDOG_RANDOM_BYTES + 1];
};

/* Starts it, and sets BATON_RUN, a mark that only processes started from now on inherit. It also
 * kills what is in the cgroup, gives the terminal back to our group as it was, undoes what was done
 * to divide the cgroup around it, and exits when nothing is left. A watchdog that died and has been
 * reaped is replaced by one with the same mark. 0 or an errno. */
int watchdog_start(struct watchdog *keeper, const struct job_cgroup *cgroup,
		   const struct cgroup_divide *divide, const struct terminal *terminal);
/* Names processes that it must kill as well, whatever they did to hide. */
void watchdog_name(struct watchdog *keeper, const struct process *processes, size_t count);
/* A clean end: the watchdog exits without killing anything. */
void watchdog_dismiss(struct watchdog *keeper);
