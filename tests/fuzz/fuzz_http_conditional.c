/* Goal: no header crashes what reads tags, packing and ranges, and a part lies within its file.
 * Method: libFuzzer, or the corpus as a plain test. The first byte makes the file's size. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/pages/http_conditional.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	uint64_t first = 1, last = 0, length = (UINT64_C(1) << data[0] % 48) - 1;
	char *header = malloc(size);
	if (!header)
		abort();
	memcpy(header, data + 1, size - 1);
	header[size - 1] = '\0';
	if (http_conditional_range(header, length, &first, &last) == RANGE_PART)
		assert(first <= last && last < length);
	(void)http_conditional_takes_gzip(header);
	(void)http_conditional_etag_known(header, "\"tag\"");
	free(header);
	return 0;
}
