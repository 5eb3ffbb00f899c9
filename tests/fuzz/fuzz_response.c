/* Fuzz target: bytes of a server's answer. Cut at a place the input chooses, the status, the body
 * and the verdict must be the same as in one piece, and no more body comes out than went in. The
 * first byte chooses the cut. */
#include <assert.h>
#include <stdint.h>

#include "http/response_parser.h"

struct verdict {
	int rc, status, closed;
	size_t bytes;
	uint32_t sum;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *ctx, const char *bytes, size_t length)
{
	struct verdict *v = ctx;
	assert(length > 0);
	v->bytes += length;
	for (size_t i = 0; i < length; i++)
		v->sum = v->sum * 31 + (uint8_t)bytes[i];
}

static struct verdict judge(const uint8_t *data, size_t size, size_t cut)
{
	struct http_response_parser parser;
	struct verdict v = {0};
	http_response_init(&parser);
	for (size_t at = 0; at < size && v.rc == 0; at += cut) {
		size_t part = size - at < cut ? size - at : cut;
		v.rc = http_response_feed(&parser, (const char *)data + at, part, count, &v);
	}
	v.status = parser.status;
	v.closed = v.rc == 0 ? http_response_close(&parser) : v.rc;
	assert(v.status == 0 || (v.status >= 100 && v.status <= 999));
	assert(v.bytes <= size);
	return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct verdict whole = judge(data + 1, size - 1, size - 1);
	struct verdict pieces = judge(data + 1, size - 1, data[0] + 1u);
	assert(whole.rc == pieces.rc && whole.closed == pieces.closed);
	assert(whole.status == pieces.status);
	assert(whole.bytes == pieces.bytes && whole.sum == pieces.sum);
	return 0;
}
