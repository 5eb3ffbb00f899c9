/* checkpoint_status: reads GET /v1/gpu/status. */
#include "cli/run/checkpoint_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/field.h"
#include "cli/http_client.h"

enum { BYTES_PER_MIB = 1024 * 1024 };

uint64_t checkpoint_status_used(uint64_t lease)
{
	json_t *status = http_client_status();
	const json_t *row;
	uint64_t bytes = 0;
	size_t at;

	json_array_foreach (json_object_get(status, "leases"), at, row) {
		if (field_u64(row, "lease") == lease)
			bytes = field_u64(row, "vram_mb_measured") * BYTES_PER_MIB;
	}
	json_decref(status);
	return bytes;
}

bool checkpoint_status_free(const char *gpu, uint64_t *ret_bytes)
{
	json_t *status = http_client_status();
	const json_t *row;
	bool known = false;
	size_t at;

	json_array_foreach (json_object_get(status, "gpus"), at, row) {
		const json_t *mib =
			json_object_get(json_object_get(row, "measured"), "vram_mb_free");
		if (strcmp(field_text(row, "name", ""), gpu) != 0 || !json_is_integer(mib))
			continue;
		*ret_bytes = (uint64_t)json_integer_value(mib) * BYTES_PER_MIB;
		known = true;
	}
	json_decref(status);
	return known;
}

static bool is_gpu(const json_t *row, const char *gpu)
{
	char index[24];
	snprintf(index, sizeof(index), "%llu", (unsigned long long)field_u64(row, "index"));
	return strcmp(field_text(row, "name", ""), gpu) == 0 || strcmp(index, gpu) == 0 ||
	       strcmp(field_text(row, "uuid", ""), gpu) == 0;
}

bool checkpoint_status_gpus(const char *gpu, unsigned *ret_count, bool *ret_mig)
{
	json_t *status = http_client_status();
	const json_t *gpus = json_object_get(status, "gpus"), *row;
	bool known = status != NULL;
	size_t at;

	*ret_mig = false;
	*ret_count = (unsigned)json_array_size(gpus);
	json_array_foreach (gpus, at, row) {
		if (!gpu || is_gpu(row, gpu))
			*ret_mig |= strncmp(field_text(row, "uuid", ""), "MIG-", 4) == 0;
	}
	json_decref(status);
	return known;
}
