/* ws_frame: see ws_frame.h. What messages mean, their rate and when to close are up to net/ws.c.
 */
#include "http/ws_frame.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"

static bool refuse_frame(struct ws_fault *ret_fault, int code, const char *what)
{
	*ret_fault = (struct ws_fault){.code = code, .what = what};
	return false;
}

void ws_parser_finish(struct ws_parser *parser)
{
	buf_finish(&parser->message);
}

/* The size of the head, which its second byte determines; 2 until that has arrived. */
static size_t head_size(const struct ws_parser *parser)
{
	if (parser->head_length < 2)
		return 2;
	uint8_t length = parser->head[1] & 0x7f;
	return 2 +
	       (length == 127   ? 8u
		: length == 126 ? 2u
				: 0u) +
	       (parser->head[1] & 0x80 ? 4 : 0);
}

/* Refuses what the first two bytes alone rule out, before waiting for more. */
static bool check_first_bytes(struct ws_parser *parser, struct ws_fault *ret_fault)
{
	uint8_t first = parser->head[0], second = parser->head[1];
	parser->fin = first & 0x80;
	parser->opcode = first & 0x0f;
	bool control = parser->opcode & 0x08;

	if (first & 0x70)
		return refuse_frame(ret_fault, 1002, "reserved bits without an extension");
	if (!(second & 0x80))
		return refuse_frame(ret_fault, 1002, "unmasked frame");
	if ((parser->opcode > WS_BINARY && parser->opcode < WS_CLOSE) || parser->opcode > WS_PONG)
		return refuse_frame(ret_fault, 1002, "reserved opcode");
	if (control && (!parser->fin || (second & 0x7f) > WS_CONTROL_BYTES_MAX))
		return refuse_frame(ret_fault, 1002, "fragmented or long control frame");
	if (!control && (parser->opcode == WS_CONTINUATION) != parser->in_message)
		return refuse_frame(ret_fault, 1002, "fragments out of order");
	if (parser->opcode == WS_BINARY)
		return refuse_frame(ret_fault, 1003, "binary message");
	return true;
}

/* The head is complete: checks its length against the limit, including what the message already
 * holds. */
static bool begin_payload(struct ws_parser *parser, struct ws_fault *ret_fault)
{
	size_t size = head_size(parser), length_bytes = size - 6;
	uint64_t length = parser->head[1] & 0x7f;
	if (length_bytes) {
		length = 0;
		for (size_t i = 0; i < length_bytes; i++)
			length = length << 8 | parser->head[2 + i];
		if (length < (length_bytes == 2 ? 126u : 65536u))
			return refuse_frame(ret_fault, 1002, "length not in its shortest form");
	}

	memcpy(parser->mask, parser->head + size - 4, 4);
	parser->mask_at = 0;
	parser->head_length = 0;
	parser->in_payload = true;

	if (parser->opcode & 0x08) {
		parser->control_length = 0;
	} else {
		if (!parser->in_message) {
			parser->message.length = 0;
			parser->fragments = 0;
		}
		parser->in_message = true;
		/* Empty fragments use no memory, but their number is limited too. */
		if (length > LIMIT_FRAME_BYTES - parser->message.length ||
		    ++parser->fragments > LIMIT_FRAME_BYTES)
			return refuse_frame(ret_fault, 1009, "message over the limit");
	}

	parser->left = (uint32_t)length;
	return true;
}

static size_t take_head(struct ws_parser *parser, const char *bytes, size_t length,
			struct ws_fault *ret_fault)
{
	size_t used = 0;
	while (used < length && parser->head_length < head_size(parser)) {
		parser->head[parser->head_length++] = (uint8_t)bytes[used++];
		if (parser->head_length == 2 && !check_first_bytes(parser, ret_fault))
			return used;
	}
	if (parser->head_length >= 2 && parser->head_length == head_size(parser))
		(void)begin_payload(parser, ret_fault);
	return used;
}

static size_t take_payload(struct ws_parser *parser, const char *bytes, size_t length,
			   struct ws_fault *ret_fault)
{
	size_t n = length < parser->left ? length : parser->left;
	char *to = parser->control + parser->control_length;
	if (!(parser->opcode & 0x08) && buf_reserve(&parser->message, n, &to) != 0) {
		refuse_frame(ret_fault, 1011, "out of memory");
		return 0;
	}

	for (size_t i = 0; i < n; i++)
		to[i] = (char)(bytes[i] ^ parser->mask[(parser->mask_at + i) & 3]);
	parser->mask_at += (uint32_t)n;
	parser->left -= (uint32_t)n;
	if (parser->opcode & 0x08)
		parser->control_length = (uint8_t)(parser->control_length + n);
	else
		buf_extend(&parser->message, n);
	return n;
}

static enum ws_result end_frame(struct ws_parser *parser, struct ws_fault *ret_fault)
{
	parser->in_payload = false;
	if (parser->opcode & 0x08)
		return WS_CONTROL;
	if (!parser->fin)
		return WS_MORE;

	parser->in_message = false;
	char *tail;
	if (buf_reserve(&parser->message, 0, &tail) != 0) {
		refuse_frame(ret_fault, 1011, "out of memory");
		return WS_REFUSED;
	}

	*tail = '\0';

	const char *text = buf_data(&parser->message);
	if (!utf8_is_valid(text, parser->message.length) ||
	    memchr(text, '\0', parser->message.length)) {
		refuse_frame(ret_fault, 1007, "message is not UTF-8 text");
		return WS_REFUSED;
	}
	return WS_MESSAGE;
}

enum ws_result ws_parse(struct ws_parser *parser, const char *bytes, size_t length,
			size_t *ret_used, struct ws_fault *ret_fault)
{
	size_t used = 0;
	enum ws_result result = WS_MORE;
	*ret_fault = (struct ws_fault){0};

	while (used < length && result == WS_MORE) {
		if (!parser->in_payload)
			used += take_head(parser, bytes + used, length - used, ret_fault);
		if (!ret_fault->code && parser->in_payload)
			used += take_payload(parser, bytes + used, length - used, ret_fault);
		if (ret_fault->code)
			result = WS_REFUSED;
		else if (parser->in_payload && parser->left == 0)
			result = end_frame(parser, ret_fault);
	}
	*ret_used = used;
	return result;
}

bool ws_close_code(const struct ws_parser *parser, int *ret_code, struct ws_fault *ret_fault)
{
	size_t length = parser->control_length;
	if (length == 0) {
		*ret_code = 1005;
		return true;
	}

	int code = length < 2 ? 0 : (uint8_t)parser->control[0] << 8 | (uint8_t)parser->control[1];
	bool known = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
		     (code >= 3000 && code <= 4999);

	if (!known)
		return refuse_frame(ret_fault, 1002, "close code that may not be sent");
	if (!utf8_is_valid(parser->control + 2, length - 2))
		return refuse_frame(ret_fault, 1007, "close reason is not UTF-8 text");
	*ret_code = code;
	return true;
}

size_t ws_frame_head(char *out, enum ws_opcode opcode, size_t length)
{
	size_t length_bytes = length < 126 ? 0 : length < 65536 ? 2 : 8;
	out[0] = (char)(0x80 | opcode);
	out[1] = (char)(length_bytes == 0 ? length : length_bytes == 2 ? 126 : 127);
	for (size_t i = 0; i < length_bytes; i++)
		out[2 + i] = (char)(length >> (8 * (length_bytes - 1 - i)));
	return 2 + length_bytes;
}
