/* cgroup: reads and writes the files of one cgroup v2 directory; makes no decisions. */
#include "process/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/pidfd.h"
#include "process/proc.h"

enum { ANCESTORS_MAX = 64, PATH_BYTES = 4096 };

static bool is_cgroup2(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* No component may be a symbolic link or "..". */
static int open_path(const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	if (path[0] != '/' || strstr(path, "/../") || strstr(path, "/./"))
		return -EINVAL;

	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* A directory relative to another; -1 with errno. */
static int open_folder(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int cgroup_open(const char *path, struct cgroup *ret_cgroup)
{
	*ret_cgroup = CGROUP_NONE;
	cleanup_close int dir_fd = open_path(path);
	if (dir_fd < 0)
		return dir_fd == -ELOOP || dir_fd == -ENOTDIR ? -EINVAL : dir_fd;
	if (!is_cgroup2(dir_fd))
		return -EINVAL;

	int events_fd = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (events_fd < 0) /* the root has none */
		return errno == ENOENT ? -EINVAL : -errno;

	*ret_cgroup = (struct cgroup){.dir_fd = take_fd(&dir_fd), .events_fd = events_fd};
	return 0;
}

void cgroup_close(struct cgroup *cgroup)
{
	if (cgroup->dir_fd >= 0)
		(void)close(cgroup->dir_fd);
	if (cgroup->events_fd >= 0)
		(void)close(cgroup->events_fd);
	*cgroup = CGROUP_NONE;
}

/* The text of one of its files, cut at `size`. Negative: errno. */
static ssize_t read_text(int fd, char *ret_text, size_t size)
{
	ssize_t length = pread(fd, ret_text, size - 1, 0);
	int error = errno;
	ret_text[length > 0 ? length : 0] = '\0';
	return length < 0 ? -error : length;
}

/* The number in the line of this key; -1: there is none. */
static int64_t value_of(const char *text, const char *key)
{
	size_t length = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0 && line[length] == ' ')
			return strtoll(line + length, NULL, 10);
	}
	return -1;
}

static int read_event(const struct cgroup *cgroup, const char *key)
{
	char text[256];
	ssize_t length = read_text(cgroup->events_fd, text, sizeof(text));
	if (length < 0)
		return length == -ENOENT ? -ENODEV : (int)length;
	int64_t value = value_of(text, key);
	return value == 0 || value == 1 ? (int)value : -EPROTO;
}

int cgroup_populated(const struct cgroup *cgroup)
{
	return read_event(cgroup, "populated");
}

int cgroup_frozen(const struct cgroup *cgroup)
{
	return read_event(cgroup, "frozen");
}

int cgroup_freeze(const struct cgroup *cgroup, bool freeze)
{
	cleanup_close int fd = openat(cgroup->dir_fd, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, freeze ? "1" : "0", 1) == 1 ? 0 : -errno;
}

int64_t cgroup_oom_kills(int dir_fd)
{
	char text[1024];
	cleanup_close int fd = openat(dir_fd, "memory.events", O_RDONLY | O_CLOEXEC);
	return fd < 0 || read_text(fd, text, sizeof(text)) < 0 ? -1 : value_of(text, "oom_kill");
}

int64_t cgroup_owner(const struct cgroup *cgroup)
{
	struct stat st;
	return fstat(cgroup->dir_fd, &st) == 0 ? (int64_t)st.st_uid : -1;
}

/* ---- membership ---- */

/* The root of the hierarchy as mounted in this namespace; -1: unknown. */
static int open_root(int dir_fd)
{
	int at_fd = open_folder(dir_fd, ".");
	for (int i = 0; at_fd >= 0 && i < ANCESTORS_MAX; i++) {
		struct stat here, above;
		cleanup_close int up_fd = open_folder(at_fd, "..");
		if (up_fd < 0 || fstat(at_fd, &here) != 0 || fstat(up_fd, &above) != 0 ||
		    !is_cgroup2(up_fd) || here.st_ino == above.st_ino)
			return at_fd;
		(void)close(at_fd);
		at_fd = take_fd(&up_fd);
	}
	return at_fd;
}

/* Whether the directory is `wanted` or below it. Closes dir_fd. */
static int is_within(int dir_fd, const struct stat *wanted)
{
	cleanup_close int at_fd = dir_fd;
	for (int i = 0; i < ANCESTORS_MAX; i++) {
		struct stat here;
		if (fstat(at_fd, &here) != 0)
			return -errno;
		if (here.st_ino == wanted->st_ino && here.st_dev == wanted->st_dev)
			return 1;

		int up_fd = open_folder(at_fd, "..");
		if (up_fd < 0)
			return -errno;
		(void)close(at_fd);
		at_fd = up_fd;
		if (!is_cgroup2(at_fd))
			return 0;
	}
	return -ELOOP;
}

int cgroup_holds(const struct cgroup *cgroup, int64_t pid)
{
	char path[PATH_BYTES];
	struct stat wanted;

	if (!proc_cgroup(pid, path, sizeof(path)))
		return -ESRCH;
	if (fstat(cgroup->dir_fd, &wanted) != 0)
		return -errno;

	cleanup_close int root_fd = open_root(cgroup->dir_fd);
	if (root_fd < 0)
		return -errno;
	int at_fd = open_folder(root_fd, path[1] ? path + 1 : ".");
	return at_fd < 0 ? -errno : is_within(at_fd, &wanted);
}

/* ---- kill ---- */

static FILE *open_members(int dir_fd)
{
	int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	if (fd >= 0 && !file)
		(void)close(fd);
	return file;
}

static bool is_member(int dir_fd, long wanted)
{
	FILE *file = open_members(dir_fd);
	long pid = 0;

	while (file && pid != wanted && fscanf(file, "%ld", &pid) == 1)
		;
	if (file)
		(void)fclose(file);
	return pid == wanted;
}

/* Checks again once it has the pidfd: the pid may have been reused meanwhile. */
static void kill_member(int dir_fd, long pid)
{
	cleanup_close int pidfd = pidfd_open((pid_t)pid, 0);
	if (pidfd >= 0 && is_member(dir_fd, pid))
		(void)pidfd_signal(pidfd, SIGKILL);
}

static void kill_members(int dir_fd)
{
	FILE *file = open_members(dir_fd);
	long pid;
	while (file && fscanf(file, "%ld", &pid) == 1)
		if (pid > 1 && pid != getpid())
			kill_member(dir_fd, pid);
	if (file)
		(void)fclose(file);
}

static void kill_tree(int dir_fd, int depth)
{
	kill_members(dir_fd);

	int list_fd = depth == 0 ? -1 : open_folder(dir_fd, ".");
	DIR *list = list_fd < 0 ? NULL : fdopendir(list_fd);
	struct dirent *entry;
	if (list_fd >= 0 && !list)
		(void)close(list_fd);

	while (list && (entry = readdir(list))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		cleanup_close int below_fd = open_folder(dir_fd, entry->d_name);
		if (below_fd >= 0)
			kill_tree(below_fd, depth - 1);
	}

	if (list)
		(void)closedir(list);
}

void cgroup_kill(const struct cgroup *cgroup)
{
	if (cgroup->dir_fd < 0)
		return;

	/* Checked each time: a process in the cgroup may have started this one. */
	bool is_safe = cgroup_holds(cgroup, PROC_SELF) == 0;
	cleanup_close int kill_fd =
		is_safe ? openat(cgroup->dir_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC) : -1;

	/* If this process is in the cgroup, and on kernels without cgroup.kill: one by one. */
	if (kill_fd < 0 || write(kill_fd, "1", 1) != 1)
		kill_tree(cgroup->dir_fd, CGROUP_DEPTH_MAX);
}
