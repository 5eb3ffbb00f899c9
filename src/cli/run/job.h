/* job: the command of `baton run` with everything that belongs to it: the process, its descendants,
 * their cgroup if there is one, and the keeper beside them. Reports when the last of it is gone. */
#pragma once
#include "cli/run/child.h"
#include "cli/run/watchdog.h"
#include "process/job_cgroup.h"

struct job {
	struct child child;
	struct watchdog keeper;
	struct job_cgroup cgroup;
};

/* Before anything else. */
void job_init(struct job *job);
/* Sets up what must exist before its first process. 0 or an errno. Once for all rounds. */
int job_prepare(struct job *job);
/* True: the keeper was killed and has been replaced. */
bool job_keep(struct job *job);
/* Starts the command, again if it ran before. 0 or the errno of why it cannot be executed. */
int job_start(struct job *job, char *const *argv, const sigset_t *mask);
/* Sends SIGTERM or another request to all of it, and SIGCONT, without which a stopped process would
 * not see it. */
void job_ask(struct job *job, int signo);
void job_kill(struct job *job);
/* How many of its processes are left, not counting those found only by the cgroup. */
size_t job_left(const struct job *job);
/* True: nothing of it lives, so nothing of it uses the GPU. */
bool job_gone(struct job *job);
void job_finish(struct job *job);
