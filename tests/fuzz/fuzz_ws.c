/* Fuzz target: bytes of a WebSocket client behind the handshake. Cut at a place the input chooses,
 * the messages, control frames and the verdict must be the same as in one piece, and memory must
 * stay under twice the longest message. The first byte chooses the cut. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "http/ws_frame.h"

struct verdict {
	int code;
	unsigned messages, controls;
	size_t bytes; /* of messages and control frames */
	uint32_t sum;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(struct verdict *v, const char *bytes, size_t length)
{
	v->bytes += length;
	for (size_t i = 0; i < length; i++)
		v->sum = v->sum * 31 + (uint8_t)bytes[i];
}

static struct verdict judge(const uint8_t *data, size_t size, size_t cut)
{
	struct verdict v = {0};
	struct ws_parser parser = {0};
	for (size_t at = 0; at < size && !v.code;) {
		struct ws_fault fault;
		size_t used = 0, give = size - at < cut ? size - at : cut;
		enum ws_result result =
			ws_parse(&parser, (const char *)data + at, give, &used, &fault);
		int code;
		assert(used <= give);
		assert(result != WS_MORE || used == give);
		at += used;
		if (result == WS_MESSAGE) {
			const char *text = buf_data(&parser.message);
			assert(strlen(text) == parser.message.length);
			assert(utf8_is_valid(text, parser.message.length));
			assert(parser.message.length <= LIMIT_FRAME_BYTES);
			count(&v, text, parser.message.length);
			v.messages++;
		} else if (result == WS_CONTROL) {
			assert(parser.control_length <= WS_CONTROL_BYTES_MAX);
			count(&v, parser.control, parser.control_length);
			v.controls++;
			if (parser.opcode == WS_CLOSE && !ws_close_code(&parser, &code, &fault))
				v.code = fault.code;
		} else if (result == WS_REFUSED) {
			v.code = fault.code;
			assert(v.code >= 1002 && v.code <= 1011);
		}
		assert(parser.message.capacity <= 2 * LIMIT_FRAME_BYTES);
	}
	ws_parser_finish(&parser);
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct verdict whole = judge(data + 1, size - 1, size - 1);
	struct verdict pieces = judge(data + 1, size - 1, data[0] + 1u);
	assert(whole.code == pieces.code);
	assert(whole.messages == pieces.messages && whole.controls == pieces.controls);
	assert(whole.bytes == pieces.bytes && whole.sum == pieces.sum);
	return 0;
}
