/* job_cgroup: see job_cgroup.h. Reports no failures: without a cgroup, the job must be found by
 * other means. */
#include "process/job_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/proc.h"

/* Where the unified hierarchy is mounted: alone, or beside cgroup v1. */
static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

static const char *find_root(void)
{
	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		struct statfs fs;
		if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return roots[i];
	}
	return NULL;
}

/* False: this process's own cgroup is unknown, or the path is too long. */
static bool choose_path(struct job_cgroup *job, const char *name)
{
	char own[LIMIT_CGROUP_BYTES + 1];
	const char *root = find_root();
	if (!root || !proc_cgroup(PROC_SELF, own, sizeof(own)) || strncmp(own, "/..", 3) == 0)
		return false;

	int length = snprintf(job->path, sizeof(job->path), "%s%s/%s-%ld", root,
			      strcmp(own, "/") == 0 ? "" : own, name, (long)getpid());
	return length > 0 && (size_t)length < sizeof(job->path);
}

void job_cgroup_make(struct job_cgroup *job, const char *name)
{
	*job = JOB_CGROUP_NONE;
	if (!choose_path(job, name) || (mkdir(job->path, 0755) < 0 && errno != EEXIST)) {
		job->path[0] = '\0';
		return;
	}

	/* Without cgroup.kill (old kernels) the cgroup is of little use. */
	int rc = cgroup_open(job->path, &job->fds);
	cleanup_close int entry_fd = job_cgroup_open_entry(job);
	if (rc != 0 || entry_fd < 0 || faccessat(job->fds.dir_fd, "cgroup.kill", W_OK, 0) < 0)
		job_cgroup_remove(job);
}

void job_cgroup_reopen(struct job_cgroup *job)
{
	job->fds = CGROUP_NONE;
	if (*job->path)
		(void)cgroup_open(job->path, &job->fds);
}

int job_cgroup_open_entry(const struct job_cgroup *job)
{
	if (job->fds.dir_fd < 0)
		return -1;
	return openat(job->fds.dir_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
}

/* Once it is removed, its events file is always readable, so close it. */
bool job_cgroup_populated(struct job_cgroup *job)
{
	int rc = job->fds.events_fd < 0 ? 0 : cgroup_populated(&job->fds);
	if (rc == -ENODEV)
		cgroup_close(&job->fds);
	return rc == 1;
}

int64_t job_cgroup_oom_kills(const struct job_cgroup *job)
{
	return job->fds.dir_fd < 0 ? -1 : cgroup_oom_kills(job->fds.dir_fd);
}

/* The job may have created cgroups below; they are empty by now. */
static int remove_folder(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)at;
	if (type == FTW_DP)
		(void)rmdir(path);
	return 0;
}

void job_cgroup_remove(struct job_cgroup *job)
{
	if (*job->path && rmdir(job->path) < 0)
		(void)nftw(job->path, remove_folder, CGROUP_DEPTH_MAX, FTW_DEPTH | FTW_PHYS);
	cgroup_close(&job->fds);
	*job = JOB_CGROUP_NONE;
}
