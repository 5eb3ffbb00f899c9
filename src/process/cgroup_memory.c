/* cgroup_memory: reads memory.max, memory.current and memory.stat. Sets nothing. */
#include "process/cgroup_memory.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "process/proc.h"

enum { STAT_BYTES = 8192, PATH_BYTES = LIMIT_CGROUP_BYTES + 64 };

static bool read_file(const char *folder, const char *name, char *ret_text, size_t size)
{
	char path[PATH_BYTES + 32];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t length = fd < 0 ? -1 : read(fd, ret_text, size - 1);

	ret_text[length > 0 ? length : 0] = '\0';
	return length > 0;
}

/* A line "KEY NUMBER"; 0: there is none. */
static uint64_t find_number(const char *text, const char *key)
{
	size_t length = strlen(key);
	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, length) == 0 && at[length] == ' ')
			return strtoull(at + length, NULL, 10);
	}
	return 0;
}

static uint64_t room_in(const char *folder)
{
	char limit[32], used[32], stat[STAT_BYTES];
	if (!read_file(folder, "memory.max", limit, sizeof(limit)) || strncmp(limit, "max", 3) == 0)
		return UINT64_MAX;
	if (!read_file(folder, "memory.current", used, sizeof(used)))
		return UINT64_MAX;

	(void)read_file(folder, "memory.stat", stat, sizeof(stat));
	uint64_t max = strtoull(limit, NULL, 10), now = strtoull(used, NULL, 10);
	uint64_t files = find_number(stat, "inactive_file") + find_number(stat, "active_file");
	now = now > files ? now - files : 0;
	return max > now ? max - now : 0;
}

uint64_t cgroup_memory_room(const char *root, const char *cgroup)
{
	char path[PATH_BYTES];
	size_t root_length = strlen(root);
	uint64_t least = UINT64_MAX;
	int length = snprintf(path, sizeof(path), "%s%s", root, cgroup);
	if (length < 0 || (size_t)length >= sizeof(path))
		return UINT64_MAX;

	for (char *slash; (slash = strrchr(path, '/')) && slash >= path + root_length;) {
		uint64_t room = room_in(path);
		least = room < least ? room : least;
		*slash = '\0';
	}
	return least;
}

uint64_t cgroup_memory_room_of(int64_t pid)
{
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
	char cgroup[LIMIT_CGROUP_BYTES + 1];
	if (!proc_cgroup(pid, cgroup, sizeof(cgroup)))
		return UINT64_MAX;

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		char controllers[256];
		if (read_file(roots[i], "cgroup.controllers", controllers, sizeof(controllers)))
			return cgroup_memory_room(roots[i], cgroup);
	}
	return UINT64_MAX;
}
