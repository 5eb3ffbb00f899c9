/* job: combines child, keeper and cgroup. It knows nothing of leases. */
#include "cli/run/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/proc.h"
#include "process/process_tree.h"
#include "process/run_mark.h"

void job_init(struct job *job)
{
	*job = (struct job){.keeper = {.fd = -1}, .cgroup = JOB_CGROUP_NONE};
	child_init(&job->child);
	terminal_init(&job->terminal);
}

static void count_in_cgroup(struct job *job, struct job_counted *counted, const char *controller,
			    const char *file)
{
	char folder[CGROUP_PATH_BYTES];
	counted->folder[0] = counted->why[0] = '\0';
	if (!counted->wanted)
		return;

	if (!*job->cgroup.path)
		(void)snprintf(counted->why, sizeof(counted->why),
			       "no cgroup of its own can be made here (baton doctor)");
	else if (!cgroup_divide_place(job->cgroup.path, getenv("BATON_CGROUPFS"), folder))
		(void)snprintf(counted->why, sizeof(counted->why),
			       "the path of its cgroup is too long");
	else if (cgroup_divide_counts(folder, file) ||
		 (cgroup_divide_begin(&job->divide, folder, controller, counted->why,
				      sizeof(counted->why)) &&
		  cgroup_divide_counts(folder, file)))
		memcpy(counted->folder, folder, sizeof(folder));
	else if (!counted->why[0])
		(void)snprintf(counted->why, sizeof(counted->why), "there is no %s/%s", folder,
			       file);
}

/* Before the keeper: it would be one process more in the cgroup that is to be divided. Where
 * somebody has removed it between two rounds we go back to where we were: it is made below that. */
static void make_cgroup(struct job *job)
{
	cgroup_divide_end(&job->divide);
	job_cgroup_make(&job->cgroup, "baton-run");
	count_in_cgroup(job, &job->dmem, "dmem", "dmem.max");
	count_in_cgroup(job, &job->memory, "memory", "memory.events");
}

int job_prepare(struct job *job)
{
	if (job->cgroup.fds.events_fd < 0)
		make_cgroup(job);
	if (job->keeper.pid) {
		(void)job_keep(job);
		return 0;
	}
	int error = watchdog_start(&job->keeper, &job->cgroup, &job->divide, &job->terminal);
	job->child.keeper_pid = job->keeper.pid;
	job->child.mark = run_mark_limit(job->keeper.mark);
	return error;
}

bool job_keep(struct job *job)
{
	if (job->keeper.pid == 0 || job->child.keeper_pid != 0 ||
	    watchdog_start(&job->keeper, &job->cgroup, &job->divide, &job->terminal))
		return false;
	job->child.keeper_pid = job->keeper.pid;
	return true;
}

int job_start(struct job *job, char *const *argv, const sigset_t *mask)
{
	child_forget(&job->child);
	return child_spawn(&job->child, argv, mask, job->cgroup.fds.dir_fd, &job->terminal);
}

bool job_is_confined(const struct job *job)
{
	return job->cgroup.fds.dir_fd >= 0 && cgroup_holds(&job->cgroup.fds, job->child.pid) == 1;
}

void job_attach(struct job *job, pid_t pid, uint64_t start, int pidfd)
{
	terminal_finish(&job->terminal); /* not ours to give */
	child_attach(&job->child, pid, start, pidfd);
}

size_t job_pids(const struct job *job, pid_t *ret_pids, size_t count_max)
{
	struct process_tree tree;
	size_t count = 0;
	child_tree(&job->child, &tree);
	for (; count < tree.count && count < count_max; count++)
		ret_pids[count] = tree.v[count].pid;
	process_tree_finish(&tree);
	return count;
}

void job_ask(struct job *job)
{
	child_signal_all(&job->child, SIGTERM);
	if (job->cgroup.fds.dir_fd >= 0)
		(void)cgroup_freeze(&job->cgroup.fds, false);
	child_signal_all(&job->child, SIGCONT);
}

void job_kill(struct job *job)
{
	cgroup_kill(&job->cgroup.fds);
	child_kill_orphans(&job->child);
	child_signal_all(&job->child, SIGKILL);
	child_reap(&job->child);
}

/* ---- freezing ---- */

static bool is_in_cgroup(const struct job *job, const struct process *process)
{
	return job->cgroup.fds.dir_fd >= 0 && cgroup_holds(&job->cgroup.fds, process->pid) == 1;
}

/* Those that no cgroup of ours can freeze. Returns how many of them still run. */
static size_t signal_outside(const struct job *job, int signo)
{
	struct process_tree tree;
	size_t running = 0;
	child_tree(&job->child, &tree);

	for (size_t i = 0; i < tree.count; i++) {
		const struct process *process = &tree.v[i];
		if (is_in_cgroup(job, process))
			continue;
		running += process->state != 'T' && process->state != 't';
		if (signo)
			(void)process_signal(process, signo);
	}

	process_tree_finish(&tree);
	return running;
}

void job_freeze(struct job *job)
{
	if (job->cgroup.fds.dir_fd >= 0)
		(void)cgroup_freeze(&job->cgroup.fds, true);
	(void)signal_outside(job, SIGSTOP);
}

/* A snapshot of /proc misses a process that is forked meanwhile by one that ends before it is read.
 * That one is a child of ours then, and a new one. */
static bool all_stand_outside(const struct job *job)
{
	static char children_before[CHILDREN_BYTES], children_after[CHILDREN_BYTES];
	(void)child_list(children_before, sizeof(children_before));
	if (signal_outside(job, 0) > 0)
		return false;
	bool whole = child_list(children_after, sizeof(children_after)) <
		     CHILDREN_BYTES - CHILDREN_BYTES_LEFT;
	return whole && strcmp(children_before, children_after) == 0;
}

bool job_frozen(const struct job *job)
{
	bool in_cgroup = job->cgroup.fds.dir_fd < 0 || cgroup_frozen(&job->cgroup.fds) == 1 ||
			 cgroup_populated(&job->cgroup.fds) == 0;
	return in_cgroup && all_stand_outside(job);
}

void job_thaw(struct job *job)
{
	if (job->cgroup.fds.dir_fd >= 0)
		(void)cgroup_freeze(&job->cgroup.fds, false);
	(void)signal_outside(job, SIGCONT);
}

void job_tell_keeper(struct job *job)
{
	struct process_tree tree;
	child_tree(&job->child, &tree);
	watchdog_name(&job->keeper, tree.v, tree.count);
	process_tree_finish(&tree);
}

static const char *why_it_stays(const struct process *process)
{
	if (process_signal(process, 0) == -EPERM)
		return "belongs to another user";
	return process->state == 'D' ? "waits in the kernel; only a reboot may help" : "is ending";
}

void job_describe(const struct job *job, char *ret_words, size_t size)
{
	struct process_tree tree;
	size_t length = 0;
	ret_words[0] = '\0';
	child_tree(&job->child, &tree);

	for (size_t i = 0; i < tree.count && length < size; i++) {
		char name[32];
		proc_name(tree.v[i].pid, name, sizeof(name));
		length += (size_t)snprintf(ret_words + length, size - length, "%s%s (%ld) %s",
					   i ? ", " : "", name, (long)tree.v[i].pid,
					   why_it_stays(&tree.v[i]));
	}
	process_tree_finish(&tree);
}

/* Where it was not asked for, it may be counted nevertheless. */
int64_t job_oom_kills(const struct job *job)
{
	if (!job->memory.folder[0])
		return job_cgroup_oom_kills(&job->cgroup);
	cleanup_close int fd = open(job->memory.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : cgroup_oom_kills(fd);
}

size_t job_left(const struct job *job)
{
	return child_signal_all(&job->child, 0);
}

bool job_gone(struct job *job)
{
	bool alone;
	if (!job->child.ended || job_cgroup_populated(&job->cgroup))
		return false;
	return child_is_alone(&job->child, &alone) ? alone : job_left(job) == 0;
}

void job_finish(struct job *job)
{
	job_cgroup_remove(&job->cgroup); /* first: the keeper removes it if we cannot */
	watchdog_dismiss(&job->keeper);
	cgroup_divide_end(&job->divide);
	child_finish(&job->child);
	terminal_finish(&job->terminal);
}
