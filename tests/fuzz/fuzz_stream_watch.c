/* Goal: what is learned of a stream does not depend on how it is cut, and a line is never held
 * beyond its limit. Method: libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/stream_watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A piece in memory of its own, so that a read past its end is seen. */
static void take_piece(struct stream_watch *watch, const uint8_t *data, size_t size)
{
	char *piece = malloc(size ? size : 1);

	if (!piece)
		abort();
	memcpy(piece, data, size);
	stream_watch_take(watch, piece, size);
	assert(watch->line.length <= 64 * 1024);
	free(piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_watch whole, bytes;

	stream_watch_begin(&whole);
	stream_watch_begin(&bytes);
	take_piece(&whole, data, size);
	for (size_t i = 0; i < size; i++)
		take_piece(&bytes, data + i, 1);

	assert(whole.finished == bytes.finished && whole.in_line == bytes.in_line);
	assert(whole.events == bytes.events);
	assert(whole.position.sequence == bytes.position.sequence);
	assert(!strcmp(whole.position.response_id, bytes.position.response_id));

	stream_watch_finish(&whole);
	stream_watch_finish(&bytes);
	return 0;
}
