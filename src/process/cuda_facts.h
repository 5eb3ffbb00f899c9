/* cuda_facts: what /proc says of a process's use of CUDA, as far as it tells whether the process
 * can be moved off its GPU. The parsers are pure. Whether a process uses managed memory (UVM) only
 * the driver knows: it is mapped from a file that CUDA maps a little of for itself. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cuda_facts {
	bool has_library;   /* libcuda is mapped: it may use CUDA */
	bool has_nccl;      /* .. as PyTorch always has it */
	bool uses_nccl;     /* segments shared with other processes */
	bool uses_ipc;      /* of CUDA */
	bool is_mps_client; /* it was told where MPS is, or MPS is where CUDA looks for it */
	bool has_mig;       /* it was given an instance of a card */
	unsigned gpus;      /* that it was given; 0: not told */
	uint64_t uvm_bytes; /* mapped of /dev/nvidia-uvm */
	bool is_nested;     /* in another PID namespace: a container */
};

/* One line of /proc/PID/maps. */
void cuda_facts_map(struct cuda_facts *facts, const char *line);
/* The block of /proc/PID/environ, of `length` bytes and a NUL. */
void cuda_facts_environ(struct cuda_facts *facts, const char *block, size_t length);
/* All of it. 0, or a negative errno: -ESRCH if it is gone or about to be, -EACCES or -EPERM if we
 * may not. */
int cuda_facts_read(int64_t pid, struct cuda_facts *ret_facts);
/* Whether libcuda is mapped. False: not, or unknown. */
bool cuda_facts_library(int64_t pid);

/* Why it cannot be moved, with what to do; NULL: nothing speaks against it. */
const char *cuda_facts_refusal(const struct cuda_facts *facts);

/* Whether so many bytes may be taken of the RAM, with 1 GiB left to everybody else, by the text of
 * /proc/meminfo and what a cgroup leaves (UINT64_MAX: no limit). False: unknown, or too little. */
bool cuda_facts_ram(const char *meminfo, uint64_t cgroup_bytes, uint64_t bytes,
		    uint64_t *ret_available_bytes);
