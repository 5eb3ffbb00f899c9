/* job: combines child, keeper and cgroup. It knows nothing of leases. */
#include "cli/run/job.h"

#include <errno.h>
#include <unistd.h>

void job_init(struct job *job)
{
	*job = (struct job){.keeper = {.fd = -1}, .cgroup = JOB_CGROUP_NONE};
	child_init(&job->child);
}

int job_prepare(struct job *job)
{
	if (job->cgroup.fds.events_fd < 0)
		job_cgroup_make(&job->cgroup, "baton-run");
	if (job->keeper.pid) {
		(void)job_keep(job);
		return 0;
	}
	int error = watchdog_start(&job->keeper, &job->cgroup);
	job->child.keeper_pid = job->keeper.pid;
	return error;
}

bool job_keep(struct job *job)
{
	if (job->keeper.pid == 0 || job->child.keeper_pid != 0 ||
	    watchdog_start(&job->keeper, &job->cgroup))
		return false;
	job->child.keeper_pid = job->keeper.pid;
	return true;
}

int job_start(struct job *job, char *const *argv, const sigset_t *mask)
{
	child_forget(&job->child);
	int entry_fd = job_cgroup_open_entry(&job->cgroup);
	int error = child_spawn(&job->child, argv, mask, entry_fd);
	if (entry_fd >= 0)
		close(entry_fd);
	return error;
}

void job_ask(struct job *job, int signo)
{
	child_signal_all(&job->child, signo);
	child_signal_all(&job->child, SIGCONT);
}

void job_kill(struct job *job)
{
	cgroup_kill(&job->cgroup.fds);
	child_signal_all(&job->child, SIGKILL);
	child_reap(&job->child);
}

size_t job_left(const struct job *job)
{
	return child_signal_all(&job->child, 0);
}

bool job_gone(struct job *job)
{
	return job->child.ended && !job_cgroup_populated(&job->cgroup) && job_left(job) == 0;
}

void job_finish(struct job *job)
{
	job_cgroup_remove(&job->cgroup); /* first: the keeper removes it if we cannot */
	watchdog_dismiss(&job->keeper);
	child_finish(&job->child);
}
