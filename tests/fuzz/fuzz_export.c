/* Goal: no bytes crash core_import; what it takes, it exports and takes again, the same. Method:
 * libFuzzer, or the corpus as a plain test. Each input is also tried with its mark and checksum
 * made right. */
#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "core/core.h"
#include "core/export.h"
#include "core/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_bytes(const void *bytes, size_t size)
{
	struct buf first = {0}, again = {0};
	const char *why = NULL;
	struct core *core = core_import(bytes, size, 1, &why), *copy;

	assert(!core == (why != NULL));
	if (!core)
		return;
	core_export(core, &first);
	copy = core_import(buf_data(&first), first.length, 2, &why);
	assert(copy);
	core_export(copy, &again);
	assert(first.length == again.length);
	assert(memcmp(buf_data(&first), buf_data(&again), first.length) == 0);
	core_destroy(core);
	core_destroy(copy);
	buf_finish(&first);
	buf_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf sealed = {0};
	uint64_t sum;

	try_bytes(data, size);
	if (buf_append(&sealed, "BTNC\1", 5) < 0 || buf_append(&sealed, data, size) < 0)
		return 0;
	sum = hash_bytes(0, buf_data(&sealed), sealed.length);
	if (buf_append(&sealed, &sum, sizeof sum) < 0)
		return 0;
	try_bytes(buf_data(&sealed), sealed.length);
	buf_finish(&sealed);
	return 0;
}
