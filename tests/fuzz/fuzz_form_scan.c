/* Goal: a form's model is the same whether its body comes at once or byte by byte. The first line
 * is the content type, the rest the body. Method: libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/form_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(const char *type, const uint8_t *body, size_t size)
{
	struct form_scan whole, pieces;
	bool taken, went_on = true;

	if (!form_scan_begin(&whole, type))
		return;
	form_scan_begin(&pieces, type);
	assert(!strncmp(whole.delimiter, "\n--", 3) && strlen(whole.delimiter) > 3);

	taken = form_scan_take(&whole, (const char *)body, size);
	assert(taken || (whole.state == FORM_BROKEN && whole.problem));
	for (size_t i = 0; i < size && went_on; i++)
		went_on = form_scan_take(&pieces, (const char *)body + i, 1);

	assert(taken == went_on && whole.state == pieces.state && whole.found == pieces.found);
	if (!whole.found)
		return;
	assert(!strcmp(whole.value, pieces.value) && strlen(whole.value) < FORM_MODEL_BYTES);
	assert(whole.value[0] && memmem(body, size, whole.value, strlen(whole.value)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
	char *type;

	if (!line)
		return 0;

	type = strndup((const char *)data, (size_t)(line - data));
	if (!type)
		abort();
	check_body(type, line + 1, size - (size_t)(line + 1 - data));
	free(type);
	return 0;
}
