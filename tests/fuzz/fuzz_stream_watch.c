/* Goal: what is learned of a stream does not depend on how it is cut, and nothing is read
 * beyond its end. Method: libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/stream_watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A piece in memory of its own, so that a read past its end is seen. */
static size_t take_piece(struct stream_watch *watch, const uint8_t *data, size_t size)
{
	char *piece = malloc(size ? size : 1);
	size_t whole_events;

	if (!piece)
		abort();
	memcpy(piece, data, size);
	whole_events = stream_watch_take(watch, piece, size);
	assert(whole_events <= size);
	free(piece);
	return whole_events;
}

static void check_wire(enum api_wire wire, const uint8_t *data, size_t size)
{
	struct stream_watch whole, bytes;
	size_t end, last = 0;

	stream_watch_begin(&whole, wire);
	stream_watch_begin(&bytes, wire);
	end = take_piece(&whole, data, size);
	for (size_t i = 0; i < size; i++)
		if (take_piece(&bytes, data + i, 1))
			last = i + 1;

	assert(end == last);
	assert(stream_watch_end(&whole) == stream_watch_end(&bytes));
	assert(whole.finished == bytes.finished && whole.failed == bytes.failed);
	assert(whole.position.sequence == bytes.position.sequence);
	assert(!strcmp(whole.position.response_id, bytes.position.response_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int wire = API_OPENAI; wire <= API_OLLAMA; wire++)
		check_wire((enum api_wire)wire, data, size);
	return 0;
}
