/* cuda_api: the few calls of CUDA's driver library that move a process off its GPU and back, by
 * their documented ABI: drivers since 570 (CUDA 12.8) have them. Each takes the pid of another
 * process, may block for as long as the driver likes, and is called from one thread at a time. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum cuda_code {
	CUDA_OK = 0,
	CUDA_INVALID_VALUE = 1,
	CUDA_NOT_INITIALIZED = 3,
	CUDA_NOT_READY = 600, /* the time to lock is over */
};

enum cuda_state { CUDA_RUNNING, CUDA_LOCKED, CUDA_CHECKPOINTED, CUDA_FAILED };

/* The arguments of all four calls. Their later fields moved between CUDA 12.8, 13.0 and 13.3 (GPUs
 * to restore onto, storage of one's own), but all have this size, and zeros mean in each of them:
 * onto the same GPU, by way of RAM. So nothing depends on the driver's version. */
struct cuda_args {
	uint32_t timeout_ms; /* of lock; 0: no limit */
	uint32_t reserved[15];
};
_Static_assert(sizeof(struct cuda_args) == 64, "as CUDA declares it");

struct cuda_api {
	int (*init)(unsigned flags);
	int (*version)(int *ret_version); /* 12080: CUDA 12.8 */
	int (*text)(int code, const char **ret_text);
	int (*state)(int pid, int *ret_state);
	int (*lock)(int pid, struct cuda_args *args);
	int (*checkpoint)(int pid, struct cuda_args *args);
	int (*restore)(int pid, struct cuda_args *args);
	int (*unlock)(int pid, struct cuda_args *args);
};

enum { CUDA_WHY_BYTES = 256 };

/* `path` NULL: libcuda.so.1, as programs find it. The library stays loaded for good: it may start
 * threads. 0, or a negative errno with what is missing and what to do in ret_why. */
int cuda_load(const char *path, struct cuda_api *ret_api, char ret_why[CUDA_WHY_BYTES]);
/* In words, of the library where it has them. */
void cuda_describe(const struct cuda_api *api, int code, char *ret_words, size_t size);
