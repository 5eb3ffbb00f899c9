/* Goal: no text crashes what reads origins, and what it makes of one it takes for what browsers
 * send. Method: libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/origin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char origin[ORIGIN_BYTES_MAX + 1], again[ORIGIN_BYTES_MAX + 1];
	char *text = malloc(size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (!origin_normal(text, origin)) {
		assert(strlen(origin) <= strlen(text));
		assert(!origin_normal(origin, again));
		assert(strcmp(origin, again) == 0);
		assert(!strpbrk(origin, " \"'<>\\^`{|}\t\n@*"));
	}
	free(text);
	return 0;
}
