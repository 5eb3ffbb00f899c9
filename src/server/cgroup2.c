/* cgroup2: reads and writes the files of one cgroup2 folder. Decides nothing. Called by
 * processes.c.
 */
#include "server/cgroup2.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/proc.h"

enum { CGROUP2_MAGIC = 0x63677270, DEPTH_MAX = 16 };

static bool is_cgroup2(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == CGROUP2_MAGIC;
}

/* No part of it may lead elsewhere: not a link, not "..". */
static int open_folder(const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	if (path[0] != '/' || strstr(path, "/../") || strstr(path, "/./"))
		return -EINVAL;
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
	return fd < 0 ? -errno : fd;
}

int cgroup2_open(const char *path, struct cgroup *ret_cgroup)
{
	*ret_cgroup = CGROUP_NONE;
	cleanup_close int dir = open_folder(path);
	if (dir < 0)
		return dir == -ELOOP || dir == -ENOTDIR ? -EINVAL : dir;
	if (!is_cgroup2(dir))
		return -EINVAL;
	int events = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (events < 0) /* the root has none */
		return errno == ENOENT ? -EINVAL : -errno;
	*ret_cgroup = (struct cgroup){.dir = take_fd(&dir), .events = events};
	return 0;
}

void cgroup2_close(struct cgroup *cgroup)
{
	if (cgroup->dir >= 0)
		(void)close(cgroup->dir);
	if (cgroup->events >= 0)
		(void)close(cgroup->events);
	*cgroup = CGROUP_NONE;
}

/* A folder that was removed was empty before. */
bool cgroup2_populated(const struct cgroup *cgroup)
{
	char text[256];
	ssize_t got = pread(cgroup->events, text, sizeof text - 1, 0);
	if (got < 0)
		return errno != ENODEV && errno != ENOENT;
	text[got] = '\0';
	return strstr(text, "populated 0") == NULL;
}

static void kill_listed(int dir)
{
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	long pid;
	if (fd >= 0 && !file)
		(void)close(fd);
	while (file && fscanf(file, "%ld", &pid) == 1)
		if (pid > 1 && pid != getpid())
			(void)kill((pid_t)pid, SIGKILL);
	if (file)
		(void)fclose(file);
}

/* For kernels without cgroup.kill, and where we live: one by one, all folders below too. */
static void kill_tree(int dir, int depth)
{
	kill_listed(dir);
	int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = again < 0 || depth == 0 ? NULL : fdopendir(again);
	struct dirent *entry;
	if (again >= 0 && !list)
		(void)close(again);
	while (list && (entry = readdir(list))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		cleanup_close int below =
			openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			kill_tree(below, depth - 1);
	}
	if (list)
		(void)closedir(list);
}

int64_t cgroup2_owner(const struct cgroup *cgroup)
{
	struct stat st;
	return fstat(cgroup->dir, &st) == 0 ? (int64_t)st.st_uid : -1;
}

static int root_above(int dir)
{
	int at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int depth = 0; at >= 0 && depth < 64; depth++) {
		struct stat here, above;
		int up = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (up < 0 || fstat(at, &here) != 0 || fstat(up, &above) != 0 || !is_cgroup2(up) ||
		    here.st_ino == above.st_ino) {
			if (up >= 0)
				(void)close(up);
			return at;
		}
		(void)close(at);
		at = up;
	}
	return at;
}

bool cgroup2_may_hold(const struct cgroup *cgroup, int64_t pid)
{
	char path[4096];
	struct stat wanted, here;
	if (!proc_cgroup(pid, path, sizeof path))
		path[0] = '\0';
	cleanup_close int root = root_above(cgroup->dir);
	cleanup_close int at = openat(root, path[0] && path[1] ? path + 1 : ".",
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || at < 0 || fstat(cgroup->dir, &wanted) != 0)
		return true;
	for (int depth = 0; depth < 64; depth++) {
		if (fstat(at, &here) != 0 ||
		    (here.st_ino == wanted.st_ino && here.st_dev == wanted.st_dev))
			return true;
		int up = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (up < 0 || !is_cgroup2(up)) {
			if (up >= 0)
				(void)close(up);
			return up < 0;
		}
		(void)close(at);
		at = up;
	}
	return true;
}

void cgroup2_kill(const struct cgroup *cgroup)
{
	/* Asked again: a broker may have been started anew by what lives in it. */
	bool ours = cgroup2_may_hold(cgroup, PROC_SELF);
	cleanup_close int fd = ours ? -1 : openat(cgroup->dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		kill_tree(cgroup->dir, DEPTH_MAX);
}
