/* cgroup_memory: how much more memory the limits of a process's cgroups leave it. */
#pragma once
#include <stdint.h>

/* Of a cgroup ("/a/b") of the v2 hierarchy that is mounted at `root`: the least that it and those
 * around it leave. What the kernel keeps of files gives way, so it counts as free. UINT64_MAX: no
 * limit is known. */
uint64_t cgroup_memory_room(const char *root, const char *cgroup);
/* The same for a process. */
uint64_t cgroup_memory_room_of(int64_t pid);
