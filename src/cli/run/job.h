/* job: the command of `baton run` with all that belongs to it: the process, what it started, the
 * cgroup they are in where there is one, and the keeper beside them. Says when the last of it is
 * gone. */
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
/* Makes what must be there before the first process of it. 0 or an errno. Once for all rounds. */
int job_prepare(struct job *job);
/* True: the keeper was killed, and another one took its place. */
bool job_keep(struct job *job);
/* Starts the command, again if it ran before. 0 or the errno of why it cannot be executed. */
int job_start(struct job *job, char *const *argv, const sigset_t *mask);
/* SIGTERM or another request to all of it; a stopped process hears it only when continued. */
void job_ask(struct job *job, int signo);
void job_kill(struct job *job);
/* How many processes of it are left, without what only the cgroup knows. */
size_t job_left(const struct job *job);
/* True: nothing of it lives, so nothing of it uses the GPU. */
bool job_gone(struct job *job);
void job_finish(struct job *job);
