/* cuda_facts: see cuda_facts.h. Asks no driver. */
#include "process/cuda_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "process/proc.h"
#include "process/proc_parse.h"

enum { ENVIRON_BYTES_MAX = 256 * 1024, BYTES_PER_KIB = 1024 };

static const uint64_t MARGIN_BYTES = 1024 * 1024 * 1024;
static const char mps_usual[] = "/tmp/nvidia-mps";

/* "7ea03a000000-7ea03a200000 rw-s .. /dev/nvidia-uvm" */
static uint64_t shared_bytes(const char *line)
{
	unsigned long long from, to;
	char modes[5];
	return sscanf(line, "%llx-%llx %4s", &from, &to, modes) == 3 && to > from &&
			       strcmp(modes, "rw-s") == 0
		       ? to - from
		       : 0;
}

void cuda_facts_map(struct cuda_facts *facts, const char *line)
{
	const char *path = strchr(line, '/');
	const char *name = path ? strrchr(path, '/') : NULL;
	if (!name)
		return;

	if (strncmp(path, "/dev/nvidia-uvm", 15) == 0 && strchr(" \n", path[15]))
		facts->uvm_bytes += shared_bytes(line);
	facts->has_library |= strncmp(name, "/libcuda.so", 11) == 0;
	facts->has_nccl |= strncmp(name, "/libnccl.so", 11) == 0;
	facts->uses_nccl |= strncmp(path, "/dev/shm/nccl-", 14) == 0;
	facts->uses_ipc |= strncmp(path, "/dev/shm/cuda.shm.", 18) == 0;
}

/* CUDA looks there by itself when a program starts. What a killed MPS left behind is none. */
static bool has_mps(const char *folder)
{
	char path[512], number[32];
	(void)snprintf(path, sizeof(path), "%.440s/control", folder);
	if (access(path, F_OK) != 0)
		return false;

	(void)snprintf(path, sizeof(path), "%.440s/nvidia-cuda-mps-control.pid", folder);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t length = fd < 0 ? -1 : read(fd, number, sizeof(number) - 1);
	number[length > 0 ? length : 0] = '\0';
	int64_t pid = strtoll(number, NULL, 10);
	return pid <= 0 || proc_start(pid) != 0;
}

static void read_visible(struct cuda_facts *facts, const char *list)
{
	facts->has_mig |= strstr(list, "MIG-") != NULL;
	facts->gpus = *list != '\0';
	for (const char *at = list; (at = strchr(at, ',')) != NULL; at++)
		facts->gpus++;
}

void cuda_facts_environ(struct cuda_facts *facts, const char *block, size_t length)
{
	const char *mps = mps_usual;

	for (const char *at = block; at < block + length; at += strlen(at) + 1) {
		if (strncmp(at, "CUDA_MPS_PIPE_DIRECTORY=", 24) == 0)
			mps = at + 24;
		else if (strncmp(at, "CUDA_VISIBLE_DEVICES=", 21) == 0)
			read_visible(facts, at + 21);
	}
	facts->is_mps_client = has_mps(mps);
}

static int read_maps(int64_t pid, struct cuda_facts *facts)
{
	char *line = NULL;
	size_t size = 0;
	FILE *file = proc_lines(pid, "maps");
	if (!file)
		return errno == ENOENT ? -ESRCH : -errno;

	while (getline(&line, &size, file) > 0)
		cuda_facts_map(facts, line);
	free(line);
	(void)fclose(file);
	return 0;
}

int cuda_facts_read(int64_t pid, struct cuda_facts *ret_facts)
{
	struct cuda_facts facts = {0};
	char *block = malloc(ENVIRON_BYTES_MAX + 1);
	if (!block)
		abort();

	int rc = read_maps(pid, &facts);
	size_t length = proc_read(pid, "environ", block, ENVIRON_BYTES_MAX + 1);
	cuda_facts_environ(&facts, block, length);
	free(block);

	facts.is_nested = proc_status(pid).is_nested;
	*ret_facts = facts;
	return rc;
}

bool cuda_facts_library(int64_t pid)
{
	struct cuda_facts facts = {0};
	return read_maps(pid, &facts) == 0 && facts.has_library;
}

const char *cuda_facts_refusal(const struct cuda_facts *facts)
{
	if (facts->is_nested)
		return "it is in a container, where its number is another one; start `baton run` "
		       "in there";
	if (facts->is_mps_client)
		return "it shares its GPU by MPS, whose clients cannot be moved; end MPS (echo "
		       "quit | nvidia-cuda-mps-control) and start it again";

	if (facts->has_mig)
		return "it runs on a MIG instance, which the driver cannot move it off; give it a "
		       "whole card";
	if (facts->gpus > 1)
		return "it was given several GPUs, and only one can be left and come back to; see "
		       "CUDA_VISIBLE_DEVICES";

	if (facts->uses_nccl)
		return "it shares memory with other processes by NCCL, which the driver cannot "
		       "move; use one process on one GPU";
	if (facts->uses_ipc)
		return "it shares memory of the GPU with other processes (CUDA IPC), which the "
		       "driver cannot move; let it send by way of RAM";
	return NULL;
}

bool cuda_facts_ram(const char *meminfo, uint64_t cgroup_bytes, uint64_t bytes,
		    uint64_t *ret_available_bytes)
{
	const char *line = strstr(meminfo, "MemAvailable:");
	uint64_t available = line ? strtoull(line + 13, NULL, 10) * BYTES_PER_KIB : 0;

	if (available > cgroup_bytes)
		available = cgroup_bytes;
	*ret_available_bytes = available;
	return available >= MARGIN_BYTES && available - MARGIN_BYTES >= bytes;
}
