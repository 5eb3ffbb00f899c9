/* Goal: however an answer is cut, it becomes the same; what is no list of numbers stays as it is;
 * what was packed stays when it is packed again. Method: libFuzzer, or the corpus as a test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gateway/float_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool pack_all(const char *bytes, size_t length, size_t piece, struct text *out)
{
	struct float_pack pack = {0};

	for (size_t at = 0; at < length; at += piece)
		if (!float_pack_take(&pack, bytes + at, length - at < piece ? length - at : piece,
				     out))
			return false;
	return float_pack_end(&pack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_text struct text whole = {0}, cut = {0}, again = {0};
	const char *bytes = (const char *)data;
	bool good = pack_all(bytes, size, size + 1, &whole);

	assert(pack_all(bytes, size, 1, &cut) == good);
	assert(cut.length == whole.length);
	assert(size == 0 || whole.length == 0 || !memcmp(cut.bytes, whole.bytes, whole.length));
	if (!good)
		return 0;

	assert(pack_all(whole.bytes, whole.length, 7, &again));
	assert(again.length == whole.length);
	assert(whole.length == 0 || !memcmp(again.bytes, whole.bytes, whole.length));
	if (!memmem(bytes, size, "\"embedding\"", 11))
		assert(whole.length == size && (size == 0 || !memcmp(whole.bytes, bytes, size)));
	return 0;
}
