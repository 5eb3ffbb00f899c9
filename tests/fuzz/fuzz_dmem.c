/* Goal: no text of dmem.current or dmem.max crashes its reader, and what it takes stands there.
 * Method: libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/dmem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t bytes;
	char *text = malloc(size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';

	if (dmem_parse(text, "0000:03:00.0", &bytes))
		assert(strstr(text, "drm/0000:03:00.0/vram"));
	free(text);
	return 0;
}
