/* gpu_names: the names of GPUs that nobody configured: "gpu0" and on, by uuid. A name is never
 * given to another device, also over restarts: the journal names the GPUs of leases by it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"

enum { GPU_NAMES_MAX = 64 };

struct gpu_names {
	unsigned count;
	struct {
		char name[8];
		char key[LIMIT_GPU_NAME_BYTES + 1]; /* uuid, or address where there is none */
	} v[GPU_NAMES_MAX];
	bool dirty; /* not written yet */
};

/* Reads DIR/gpus. 0; or -ERR_IO with detail: the file cannot be read, or a row of it is none of
 * ours, and only the others count. */
int gpu_names_load(struct gpu_names *names, const char *dir, char *detail, size_t detail_size);
void gpu_names_save(struct gpu_names *names, const char *dir);
/* The device's name, a new one if need be. `key` is its uuid, else its address. */
const char *gpu_names_of(struct gpu_names *names, const char *key);
/* The device has got a better key: its uuid, for it was asleep. */
void gpu_names_rekey(struct gpu_names *names, const char *old_key, const char *key);
