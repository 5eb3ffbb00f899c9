/* Goal: a form's model is the same whether its body comes at once or byte by byte. The first line
 * is the content type, the rest the body. Method: libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/form_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first `length` bytes in memory of their own, so that a read past their end is seen. */
static enum form_result look_at(struct form_scan *scan, const uint8_t *body, size_t length,
				bool complete, char *ret_model)
{
	char *bytes = malloc(length ? length : 1);
	enum form_result result;

	if (!bytes)
		abort();
	memcpy(bytes, body, length);
	result = form_scan_look(scan, bytes, length, complete, ret_model);
	free(bytes);
	return result;
}

static void check_body(const char *type, const uint8_t *body, size_t size)
{
	struct form_scan whole, pieces;
	char model[FORM_MODEL_BYTES] = "", other[FORM_MODEL_BYTES] = "";
	enum form_result result, piecewise = FORM_MORE;

	if (!form_scan_begin(&whole, type))
		return;
	form_scan_begin(&pieces, type);
	assert(!strncmp(whole.delimiter, "\r\n--", 4) && strlen(whole.delimiter) > 4);

	result = look_at(&whole, body, size, true, model);
	assert(result != FORM_MORE);
	for (size_t i = 0; i <= size && piecewise == FORM_MORE; i++)
		piecewise = look_at(&pieces, body, i, i == size, other);

	assert(result == piecewise);
	if (result != FORM_FOUND)
		return;
	assert(!strcmp(model, other));
	assert(model[0] && memmem(body, size, model, strlen(model)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
	char *type;

	if (!line || size > 8192) /* byte by byte is the square of it */
		return 0;

	type = strndup((const char *)data, (size_t)(line - data));
	if (!type)
		abort();
	check_body(type, line + 1, size - (size_t)(line + 1 - data));
	free(type);
	return 0;
}
