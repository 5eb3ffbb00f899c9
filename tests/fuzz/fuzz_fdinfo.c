/* Goal: whatever stands in a fdinfo file, it is parsed without a fault, and what is kept of it
 * ends. Method: the bytes as a file, exactly as long, and once more after a client's head. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/drm_fdinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_copy(const char *head, const uint8_t *data, size_t size)
{
	size_t length = strlen(head);
	char *text = malloc(length + size > 0 ? length + size : 1);
	struct drm_fdinfo info;

	if (!text)
		abort();
	memcpy(text, head, length);
	if (size > 0)
		memcpy(text + length, data, size);
	if (drm_parse_fdinfo(text, length + size, &info)) {
		assert(memchr(info.pdev, '\0', sizeof(info.pdev)));
		assert(info.pdev[0]);
		assert(info.card.known || info.card.bytes == 0);
		assert(info.shared.known || info.shared.bytes == 0);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse_copy("", data, size);
	parse_copy("drm-client-id:\t1\ndrm-pdev:\t0000:03:00.0\n", data, size);
	return 0;
}
