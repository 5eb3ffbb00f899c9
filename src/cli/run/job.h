/* job: the command of `baton run` with everything that belongs to it: the process, its descendants,
 * their cgroup if there is one, and the keeper beside them. Reports when the last of it is gone. */
#pragma once
#include "cli/run/child.h"
#include "cli/run/terminal.h"
#include "cli/run/watchdog.h"
#include "process/cgroup_divide.h"
#include "process/job_cgroup.h"

enum { JOB_WHY_BYTES = 640 };

struct job_counted {
	bool wanted;
	char folder[CGROUP_PATH_BYTES]; /* the cgroup's; "": it is not counted */
	char why[JOB_WHY_BYTES];        /* why it is not */
};

struct job {
	struct child child;
	struct watchdog keeper;
	struct job_cgroup cgroup;
	struct terminal terminal;
	struct job_counted dmem, memory; /* what its cgroup is to count */
	struct cgroup_divide divide;
};

/* Before anything else. */
void job_init(struct job *job);
/* Sets up what must exist before its first process. 0 or an errno. Once for all rounds. */
int job_prepare(struct job *job);
/* True: the keeper was killed and has been replaced. */
bool job_keep(struct job *job);
/* Starts the command, again if it ran before. 0 or the errno of why it cannot be executed. */
int job_start(struct job *job, char *const *argv, const sigset_t *mask);
/* Whether the command is in the cgroup that was made for it. */
bool job_is_confined(const struct job *job);
/* Instead of job_prepare and job_start: a program that runs already. It has no keeper and no cgroup
 * of its own. Takes the pidfd. */
void job_attach(struct job *job, pid_t pid, uint64_t start, int pidfd);
/* Its first processes, at most count_max. */
size_t job_pids(const struct job *job, pid_t *ret_pids, size_t count_max);
/* Sends SIGTERM to all of it, and lets go on what is stopped or frozen, or it would not see it. */
void job_ask(struct job *job);
void job_kill(struct job *job);
/* Begins to freeze all of it, again as long as job_frozen is false: by its cgroup, and by SIGSTOP
 * what is not in it. */
void job_freeze(struct job *job);
bool job_frozen(const struct job *job);
void job_thaw(struct job *job);
/* The keeper learns of all that is frozen: if we are killed it must find each of them. */
void job_tell_keeper(struct job *job);
/* Describes in words what is left of it, and why that does not end. */
void job_describe(const struct job *job, char *ret_words, size_t size);
/* How many of its processes the kernel has killed because memory ran out; -1: not counted. */
int64_t job_oom_kills(const struct job *job);
/* How many of its processes are left, not counting those found only by the cgroup. */
size_t job_left(const struct job *job);
/* True: nothing of it lives, so nothing of it uses the GPU. */
bool job_gone(struct job *job);
void job_finish(struct job *job);
