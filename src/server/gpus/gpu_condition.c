/* gpu_condition: see gpu_condition.h. */
#include "server/gpus/gpu_condition.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process/proc.h"
#include "process/proc_parse.h"

enum { DESCRIPTORS_MAX = 256 };

const char *gpu_condition_name(enum gpu_condition condition)
{
	static const char *const names[] = {
#define X(condition, name, text) [condition] = name,
		GPU_CONDITION_TABLE(X)
#undef X
	};
	return names[condition];
}

const char *gpu_condition_text(enum gpu_condition condition)
{
	static const char *const texts[] = {
#define X(condition, name, text) [condition] = text,
		GPU_CONDITION_TABLE(X)
#undef X
	};
	return texts[condition];
}

bool gpu_condition_stuck(struct kernel_wait *wait, int64_t pid, struct mono_ms now)
{
	struct proc_status status = proc_status(pid);

	if (status.state != 'D' || status.waits < 0) {
		wait->waits = -1;
		return false;
	}
	if (status.waits != wait->waits)
		*wait = (struct kernel_wait){.waits = status.waits, .since = now};
	return mono_due(mono_after(wait->since, CONDITION_LOOK_MS), now);
}

/* A file system or a block device whose other end is this process. */
static bool serves_device(int64_t pid)
{
	static const char *const devices[] = {"/dev/fuse", "/dev/ublkc", "/dev/nbd", "/dev/cuse"};
	char path[64], target[32];
	const struct dirent *entry;
	bool found = false;

	(void)snprintf(path, sizeof(path), "/proc/%lld/fd", (long long)pid);
	DIR *dir = opendir(path);
	for (int i = 0; dir && !found && i < DESCRIPTORS_MAX && (entry = readdir(dir)); i++) {
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		target[length > 0 ? length : 0] = '\0';
		for (size_t n = 0; n < sizeof(devices) / sizeof(*devices); n++)
			found |= strncmp(target, devices[n], strlen(devices[n])) == 0;
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

bool gpu_condition_serves(int64_t pid, const char *command)
{
	static const char *const commands[] = {"vramfs", "nbd-vram", "vramblk", "cudaramd"};

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(command, commands[i]) == 0)
			return true;
	return serves_device(pid);
}

bool gpu_condition_zombie(int64_t pid)
{
	struct proc_stat stat;
	return proc_stat(pid, &stat) && proc_is_dead(&stat);
}
