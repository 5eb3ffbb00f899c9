/* cgroup: made by mkdir, read and written as files. It decides nothing and reports no failure:
 * where it cannot be had, the job is found by its tree and its mark alone. Called by job.c and
 * watchdog.c.
 */
#include "cli/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/proc.h"

enum { CGROUP2_MAGIC = 0x63677270, DEPTH_MAX = 16 };

/* Where the unified hierarchy lies: alone, or beside the old ones. */
static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

static const char *find_root(void)
{
	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		struct statfs fs;
		if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_MAGIC)
			return roots[i];
	}
	return NULL;
}

static int open_file(const struct cgroup *cgroup, const char *name, int flags)
{
	char path[LIMIT_CGROUP_BYTES + 32];
	if (!*cgroup->path)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", cgroup->path, name);
	return open(path, flags | O_CLOEXEC);
}

void cgroup_make(struct cgroup *cgroup)
{
	char own[LIMIT_CGROUP_BYTES + 1];
	const char *root = find_root();
	*cgroup = (struct cgroup){.events_fd = -1};
	if (!root || !proc_cgroup(PROC_SELF, own, sizeof(own)) || strncmp(own, "/..", 3) == 0)
		return;
	int length = snprintf(cgroup->path, sizeof(cgroup->path), "%s%s/baton-run-%ld", root,
			      strcmp(own, "/") == 0 ? "" : own, (long)getpid());
	if (length >= (int)sizeof(cgroup->path) ||
	    (mkdir(cgroup->path, 0755) < 0 && errno != EEXIST)) {
		cgroup->path[0] = '\0';
		return;
	}

	/* Old kernels have no cgroup.kill: then it is worth little. */
	cleanup_close int kill_fd = open_file(cgroup, "cgroup.kill", O_WRONLY);
	cleanup_close int entry_fd = cgroup_open_entry(cgroup);
	cgroup->events_fd = open_file(cgroup, "cgroup.events", O_RDONLY);
	if (kill_fd < 0 || entry_fd < 0 || cgroup->events_fd < 0)
		cgroup_remove(cgroup);
}

void cgroup_reopen(struct cgroup *cgroup)
{
	cgroup->events_fd = open_file(cgroup, "cgroup.events", O_RDONLY);
}

int cgroup_open_entry(const struct cgroup *cgroup)
{
	return open_file(cgroup, "cgroup.procs", O_WRONLY);
}

bool cgroup_populated(struct cgroup *cgroup)
{
	char text[256];
	if (cgroup->events_fd < 0)
		return false;
	ssize_t length = pread(cgroup->events_fd, text, sizeof(text) - 1, 0);
	if (length < 0 && errno == ENODEV) { /* removed; from then on it is always readable */
		close(cgroup->events_fd);
		cgroup->events_fd = -1;
	}
	text[length > 0 ? length : 0] = '\0';
	return strstr(text, "populated 1") != NULL;
}

void cgroup_kill(const struct cgroup *cgroup)
{
	cleanup_close int fd = open_file(cgroup, "cgroup.kill", O_WRONLY);
	if (fd >= 0 && write(fd, "1", 1) < 0)
		return; /* it is gone */
}

/* The job may have made some of its own below; nothing lives in them any more. */
static int remove_folder(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)at;
	if (type == FTW_DP)
		rmdir(path);
	return 0;
}

void cgroup_remove(struct cgroup *cgroup)
{
	if (*cgroup->path && rmdir(cgroup->path) < 0)
		nftw(cgroup->path, remove_folder, DEPTH_MAX, FTW_DEPTH | FTW_PHYS);
	if (cgroup->events_fd >= 0)
		close(cgroup->events_fd);
	*cgroup = (struct cgroup){.events_fd = -1};
}
