/* Goal: the head of a kept request is read without a step outside of it, and what was read is text
 * within it. Method: libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/held.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, const char *bytes, size_t size)
{
	assert(text >= bytes && text < bytes + size);
	assert(memchr(text, '\0', (size_t)(bytes + size - text)));
	assert(!strchr(text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1);
	struct held_head head;
	size_t body_from = 0;

	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	if (held_head_read(bytes, size, &head, &body_from)) {
		assert(body_from <= size && body_from > 2);
		check_text(head.server, bytes, size);
		check_text(head.target, bytes, size);
		check_text(head.host, bytes, size);
		if (head.id[0])
			check_text(head.id, bytes, size);
		assert(head.cls < LEASE_CLASS_COUNT);
		assert(head.fields_size < size);
		for (const char *at = head.fields, *end = at + head.fields_size; at < end;) {
			check_text(at, bytes, size);
			at += strlen(at) + 1;
			assert(at < end);
			check_text(at, bytes, size);
			at += strlen(at) + 1;
			assert(at <= end);
		}
	}
	free(bytes);
	return 0;
}
