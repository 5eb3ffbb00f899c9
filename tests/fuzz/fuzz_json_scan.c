/* Goal: however a body is cut into pieces, the scan reads it the same way, and the model's string
 * that it finds stands where it says. Method: libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A piece in memory of its own, so that a read past its end is seen. */
static bool take_piece(struct json_scan *scan, const uint8_t *data, size_t size)
{
	char *piece = malloc(size ? size : 1);
	bool good;

	if (!piece)
		abort();
	memcpy(piece, data, size);
	good = json_scan_take(scan, piece, size);
	free(piece);
	return good;
}

static void check_model(const struct json_scan *scan, const uint8_t *data, size_t size)
{
	char name[JSON_SCAN_MODEL_BYTES];

	if (!json_scan_model(scan, name))
		return;
	assert(strlen(name) > 0 && strlen(name) < sizeof(name));
	assert(scan->model_from < scan->model_to && scan->model_to <= size);
	assert(data[scan->model_from] == '"' && data[scan->model_to - 1] == '"');
	assert(!memcmp(data + scan->model_from, scan->model.bytes, scan->model.length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_scan whole = {0}, bytes = {0};
	bool good = take_piece(&whole, data, size), same = true;

	for (size_t i = 0; i < size && same; i++)
		same = take_piece(&bytes, data + i, 1);

	assert(good == same && whole.state == bytes.state && whole.problem == bytes.problem);
	assert(good == (whole.state != SCAN_BROKEN));
	if (!good)
		return 0;
	assert(whole.at == size && bytes.at == size);
	assert(whole.model_from == bytes.model_from && whole.model_to == bytes.model_to);
	assert(whole.stream_seen == bytes.stream_seen && whole.stream == bytes.stream);
	assert(whole.choices == bytes.choices);
	assert(whole.previous.length == bytes.previous.length);
	check_model(&whole, data, size);
	return 0;
}
