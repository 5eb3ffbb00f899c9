/* container: which container a process is in, by its cgroups. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { CONTAINER_ID_BYTES = 71, CONTAINER_RUNTIME_BYTES = 15 };

struct container {
	char runtime[CONTAINER_RUNTIME_BYTES + 1]; /* "docker", "podman", ..; "": in none */
	char id[CONTAINER_ID_BYTES + 1];           /* 64 hex digits, or a name */
};

/* Of the text of /proc/PID/cgroup: the innermost one. False: in none that is known. */
bool container_parse(const char *text, struct container *ret_container);
