/* Goal: no bytes in the file of turns crash its reader, make it read beyond them, or give out a
 * record of a frame that is not whole; what it read it reads again when the rest is cut off.
 * Method: libFuzzer, or the corpus as a plain test. Right checksums hardly ever come by chance, so
 * each input is also tried as the records of a frame with a right header, before itself. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"
#include "store/batches.h"
#include "store/codec.h"
#include "store/crc32.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUND = 7 };

static bool count_record(void *ctx, const struct record *record)
{
	assert(record->type <= RECORD_AUDIT);
	++*(unsigned *)ctx;
	return true;
}

static void try_bytes(const uint8_t *bytes, size_t length)
{
	unsigned records = 0, again = 0;
	struct batches_found found = batches_read(bytes, length, ROUND, count_record, &records);
	assert(!found.wrong && found.length <= length);
	assert((found.count == 0) == (found.length == 0) && records >= found.count);
	struct batches_found cut = batches_read(bytes, found.length, ROUND, count_record, &again);
	assert(cut.length == found.length && cut.count == found.count && again == records);
	assert(!cut.lost);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_bytes(data, size);
	/* A record with the input as its payload, in a frame, and the input behind it. */
	size_t payload = size > CODEC_BYTES_MAX - 8 ? CODEC_BYTES_MAX - 8 : size;
	size_t frame = TURNS_HEADER_BYTES + payload + 4;
	uint8_t *bytes = malloc(frame + size);
	assert(bytes);
	memcpy(bytes + TURNS_HEADER_BYTES, data, payload);
	uint32_t crc = crc32_of(bytes + TURNS_HEADER_BYTES, payload);
	for (size_t i = 0; i < 4; i++)
		bytes[TURNS_HEADER_BYTES + payload + i] = (uint8_t)(crc >> (8 * i));
	batches_frame(bytes, frame, ROUND, 0);
	memcpy(bytes + frame, data, size);
	try_bytes(bytes, frame + size);
	free(bytes);
	return 0;
}
