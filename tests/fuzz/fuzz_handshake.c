/* Goal: an answer's head is read the same whether it comes at once or byte by byte, and one that is
 * taken is made of whole lines with an empty one at its end. Method: libFuzzer, or the corpus as a
 * plain test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of its own, so that a read past the end is seen. */
static int read_some(const uint8_t *data, size_t size, size_t *ret_length)
{
	char *bytes = malloc(size ? size : 1);
	int status;

	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	status = handshake_read(bytes, size, ret_length);
	free(bytes);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t length = 0, piecewise_length = 0;
	int status, piecewise = 0;

	if (size > 4096) /* byte by byte is the square of it */
		return 0;
	status = read_some(data, size, &length);
	for (size_t i = 0; i <= size && piecewise == 0; i++)
		piecewise = read_some(data, i, &piecewise_length);

	assert(status == piecewise);
	if (status <= 0)
		return 0;
	assert(length == piecewise_length && length >= 16 && length <= size);
	assert(status >= 100 && status <= 999);
	assert(!memcmp(data, "HTTP/1.1 ", 9) && !memcmp(data + length - 4, "\r\n\r\n", 4));
	assert(!memchr(data, '\0', length));
	return 0;
}
