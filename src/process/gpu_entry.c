/* gpu_entry: see gpu_entry.h. */
#include "process/gpu_entry.h"

#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char file_name[] = "baton-gpu-exec";

bool gpu_entry_beside(const char *name, char *ret_path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", ret_path, size - 1);
	if (length <= 0)
		return false;
	ret_path[length] = '\0';

	char *slash = strrchr(ret_path, '/');
	if (!slash || (size_t)(slash + 1 - ret_path) + strlen(name) + 1 > size)
		return false;
	memcpy(slash + 1, name, strlen(name) + 1);
	return access(ret_path, X_OK) == 0;
}

bool gpu_entry_find(char *ret_path, size_t size)
{
	return gpu_entry_beside(file_name, ret_path, size);
}

bool gpu_entry_works(const char *path)
{
	return getxattr(path, "security.capability", NULL, 0) > 0;
}
