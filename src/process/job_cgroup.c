/* job_cgroup: see job_cgroup.h. Reports no failures: without a cgroup, the job must be found by
 * other means. */
#include "process/job_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/cgroup_divide.h"
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

/* The job may have created cgroups below; they are empty by now. */
static int remove_folder(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)at;
	if (type == FTW_DP)
		(void)rmdir(path);
	return 0;
}

/* False: something lives in it, or we may not. */
static bool remove_all(const char *path)
{
	if (rmdir(path) == 0)
		return true;
	(void)nftw(path, remove_folder, CGROUP_DEPTH_MAX, FTW_DEPTH | FTW_PHYS);
	return access(path, F_OK) < 0 && errno == ENOENT;
}

/* ---- what others left ---- */

static const char wrapper_prefix[] = "baton-wrapper-"; /* cgroup_divide.h */

/* The number of the process that made "baton-run-N" or "baton-wrapper-N"; 0: it is neither. */
static pid_t maker_of(const char *entry)
{
	static const char *const prefixes[] = {"baton-run-", wrapper_prefix};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		size_t length = strlen(prefixes[i]);
		const char *digits = entry + length;
		if (strncmp(entry, prefixes[i], length) == 0 && *digits &&
		    strspn(digits, "0123456789") == strlen(digits))
			return (pid_t)strtol(digits, NULL, 10);
	}
	return 0;
}

/* What the kernel refuses to remove has processes; a look beforehand keeps what is below them. */
static bool is_left(const char *path, pid_t maker)
{
	struct cgroup cgroup;
	struct proc_stat stat;
	bool lives = maker > 0 && proc_stat(maker, &stat) && !proc_is_dead(&stat);
	if (maker <= 0 || lives || cgroup_open(path, &cgroup) != 0)
		return false;

	bool left = cgroup_populated(&cgroup) == 0 && cgroup_owner(&cgroup) == (int64_t)geteuid();
	cgroup_close(&cgroup);
	return left;
}

static bool clear_one(const char *folder, const char *entry)
{
	char path[LIMIT_CGROUP_BYTES + 1];
	int length = snprintf(path, sizeof(path), "%s/%s", folder, entry);
	return length > 0 && (size_t)length < sizeof(path) && is_left(path, maker_of(entry)) &&
	       remove_all(path);
}

static void clear_folder(const char *path)
{
	char folder[LIMIT_CGROUP_BYTES + 1];
	struct dirent *entry;
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);

	DIR *dir = opendir(folder);
	while (dir && (entry = readdir(dir)))
		if (maker_of(entry->d_name))
			(void)clear_one(folder, entry->d_name);
	if (dir)
		(void)closedir(dir);
}

void job_cgroup_clear(const char *path)
{
	char folder[LIMIT_CGROUP_BYTES + 1], wrapper[64];
	const char *slash = strrchr(path, '/');
	pid_t maker = slash ? maker_of(slash + 1) : 0;
	if (maker <= 0)
		return;

	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	(void)snprintf(wrapper, sizeof(wrapper), "%s%ld", wrapper_prefix, (long)maker);
	(void)clear_one(folder, slash + 1);
	if (clear_one(folder, wrapper))
		cgroup_divide_undo(folder);
}

/* ---- our own ---- */

/* One of the same name was left by a process that had our number: what it is limited to, and
 * whether it is frozen, is not our job's. Where something lives in it, it is not ours at all. */
static bool make_folder(const char *path)
{
	if (mkdir(path, 0755) == 0)
		return true;
	return errno == EEXIST && remove_all(path) && mkdir(path, 0755) == 0;
}

void job_cgroup_make(struct job_cgroup *job, const char *name)
{
	*job = JOB_CGROUP_NONE;
	if (!choose_path(job, name) || !make_folder(job->path)) {
		job->path[0] = '\0';
		return;
	}
	clear_folder(job->path);

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

void job_cgroup_remove(struct job_cgroup *job)
{
	if (*job->path)
		(void)remove_all(job->path);
	cgroup_close(&job->fds);
	*job = JOB_CGROUP_NONE;
}
