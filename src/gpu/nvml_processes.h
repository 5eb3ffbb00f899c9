/* nvml_processes: the rows of the library's process lists. Pure. Drivers have shipped rows of
 * another size than their symbol says, so a list is taken whole or not at all. */
#pragma once
#include "gpu/reading.h"

enum { NVML_ROW_BYTES_MAX = 32 };

/* Adds `count` rows of `row_bytes`; of rows of 24, `rows` has as many bytes as for 32, and they are
 * tried as such, too. False: they make no sense, and nothing was added. `total_bytes` of the GPU,
 * 0: unknown. */
bool nvml_take_processes(const void *rows, unsigned count, size_t row_bytes, enum gpu_use use,
			 uint64_t total_bytes, struct gpu_reading *reading);
