/* proc: reads the files of /proc/PID; stateless. */
#include "process/proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "process/proc_parse.h"

enum { STAT_BYTES = 2048 }; /* a name of 64 bytes and 52 numbers of up to 20 digits */

enum { PATH_BYTES = 64 };

static void path_of(int64_t pid, const char *file, char ret_path[PATH_BYTES])
{
	if (pid == PROC_SELF)
		(void)snprintf(ret_path, PATH_BYTES, "/proc/self/%s", file);
	else
		(void)snprintf(ret_path, PATH_BYTES, "/proc/%lld/%s", (long long)pid, file);
}

FILE *proc_lines(int64_t pid, const char *file)
{
	char path[PATH_BYTES];
	path_of(pid, file, path);
	return fopen(path, "re");
}

size_t proc_read(int64_t pid, const char *file, char *ret_bytes, size_t size)
{
	char path[PATH_BYTES];
	path_of(pid, file, path);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = fd < 0 ? -1 : 1;

	while (got > 0 && length < size - 1) {
		got = read(fd, ret_bytes + length, size - 1 - length);
		if (got > 0)
			length += (size_t)got;
	}

	ret_bytes[length] = '\0';
	return length;
}

bool proc_stat(int64_t pid, struct proc_stat *ret_stat)
{
	char text[STAT_BYTES];
	(void)proc_read(pid, "stat", text, sizeof(text));
	return proc_parse_stat(text, ret_stat);
}

uint64_t proc_start(int64_t pid)
{
	struct proc_stat stat;
	return proc_stat(pid, &stat) ? stat.start : 0;
}

/* Dead processes hold no GPU; but a main thread that has exited looks dead while other threads run.
 */
bool proc_is_dead(const struct proc_stat *stat)
{
	return (stat->state == 'Z' && stat->threads <= 1) || stat->state == 'X';
}

int64_t proc_parent(int64_t pid)
{
	struct proc_stat stat;
	return proc_stat(pid, &stat) && !proc_is_dead(&stat) ? stat.parent : 0;
}

struct proc_status proc_status(int64_t pid)
{
	struct proc_status status = PROC_STATUS_NONE;
	FILE *file = proc_lines(pid, "status");
	cleanup_free char *line = NULL;
	size_t size = 0;

	/* Line by line: the list of groups may have any length. */
	while (file && getline(&line, &size, file) > 0)
		proc_parse_status(line, &status);

	if (file)
		(void)fclose(file);
	return status;
}

void proc_name(int64_t pid, char *ret_name, size_t size)
{
	(void)proc_read(pid, "comm", ret_name, size);
	ret_name[strcspn(ret_name, "\n")] = '\0';
}

bool proc_cgroup(int64_t pid, char *ret_path, size_t size)
{
	FILE *file = proc_lines(pid, "cgroup");
	cleanup_free char *line = NULL;
	size_t line_size = 0;
	bool found = false;

	while (file && !found && getline(&line, &line_size, file) > 0)
		found = proc_parse_cgroup(line, ret_path, size);

	if (file)
		(void)fclose(file);
	return found;
}

pid_t proc_next(DIR *proc)
{
	struct dirent *entry;
	while (proc && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 0)
			return pid;
	}
	return 0;
}
