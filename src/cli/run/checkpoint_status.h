/* checkpoint_status: what the broker knows of the memory that is to be moved. Each call is one
 * request, made from a thread that may wait. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* What is measured of this lease; 0: unknown. */
uint64_t checkpoint_status_used(uint64_t lease);
/* What is measured free on the GPU of this name. False: unknown, or nothing measures it. */
bool checkpoint_status_free(const char *gpu, uint64_t *ret_bytes);
/* How many GPUs are lent, and whether one of them, or that of this name, index or UUID, is a MIG
 * instance. False: no answer. */
bool checkpoint_status_gpus(const char *gpu, unsigned *ret_count, bool *ret_mig);
