/* response_parser: see response_parser.h. Lines are collected until complete, body bytes are passed
 * on at once. */
#include "http/response_parser.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "http/fault.h"
#include "http/field.h"
#include "http/syntax.h"

struct sink {
	void (*on_body)(void *ctx, const char *bytes, size_t length);
	void *ctx;
};

void http_response_init(struct http_response_parser *parser)
{
	memset(parser, 0, sizeof(*parser));
}

static int take_status_line(struct http_response_parser *parser, const char *line, size_t length)
{
	static const char form[] = "HTTP/1.x nnn";
	size_t digits_at = sizeof(form) - 1 - 3;
	if (length < sizeof(form) - 1 || memcmp(line, "HTTP/1.", 7) != 0 ||
	    line[digits_at - 1] != ' ' || http_has_control(line, length))
		return -ERR_PROTOCOL;

	int status = 0;
	for (size_t i = digits_at; i < sizeof(form) - 1; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -ERR_PROTOCOL;
		status = status * 10 + line[i] - '0';
	}

	if (status < 100 || (length > sizeof(form) - 1 && line[sizeof(form) - 1] != ' '))
		return -ERR_PROTOCOL;

	parser->status = status;
	parser->chunked = parser->length_known = false;
	parser->phase = HTTP_RESPONSE_HEADER;
	return 0;
}

static void end_head(struct http_response_parser *parser)
{
	if (parser->status / 100 == 1) {
		parser->phase = HTTP_RESPONSE_STATUS_LINE;
		return;
	}

	bool bodyless = parser->status == 204 || parser->status == 304;
	if (!bodyless && !parser->chunked && !parser->length_known) {
		parser->phase = HTTP_RESPONSE_BODY_UNTIL_CLOSE;
		return;
	}

	parser->phase = HTTP_RESPONSE_BODY;
	if (parser->chunked && !bodyless)
		http_body_by_chunks(&parser->body, UINT64_MAX);
	else
		http_body_by_length(&parser->body, bodyless ? 0 : parser->length, UINT64_MAX);

	if (parser->body.phase == HTTP_BODY_BY_LENGTH && parser->body.left == 0)
		parser->phase = HTTP_RESPONSE_DONE;
}

/* Responses are smuggled by conflicting or repeated framing. */
static int take_header(struct http_response_parser *parser, const char *line, size_t length)
{
	struct http_field field;
	struct http_fault fault;
	if (length == 0) {
		end_head(parser);
		return 0;
	}
	if (!http_field_split(line, length, &field, &fault))
		return -ERR_PROTOCOL;

	bool is_length = http_field_is(&field, "content-length");
	bool is_encoding = http_field_is(&field, "transfer-encoding");
	if ((is_length || is_encoding) && (parser->chunked || parser->length_known))
		return -ERR_PROTOCOL;
	if (is_length) {
		parser->length_known = true;
		return http_read_length(field.value, field.value_length, &parser->length)
			       ? 0
			       : -ERR_PROTOCOL;
	}
	if (is_encoding) {
		parser->chunked = true;
		return field.value_length == 7 && strncasecmp(field.value, "chunked", 7) == 0
			       ? 0
			       : -ERR_PROTOCOL;
	}
	return 0;
}

/* Body bytes, and complete lines of its framing. *ret_used stops before an incomplete line. */
static int take_body(struct http_response_parser *parser, const char *bytes, size_t length,
		     size_t *ret_used, const struct sink *sink)
{
	struct http_piece piece;
	struct http_fault fault;
	enum http_body_result result;
	size_t used = 0, n = 0;
	while ((result = http_body_read(&parser->body, bytes + used, length - used, &n, &piece,
					&fault)) == HTTP_BODY_PIECE) {
		if (sink->on_body)
			sink->on_body(sink->ctx, piece.bytes, piece.length);
		used += n;
	}

	*ret_used = used + n;
	if (result == HTTP_BODY_REFUSED)
		return -ERR_PROTOCOL;
	if (result == HTTP_BODY_END)
		parser->phase = HTTP_RESPONSE_DONE;
	return 0;
}

/* Checks a line of the body's framing before it is complete, to refuse an invalid one at once.
 */
static int take_frame_line(struct http_response_parser *parser, const struct sink *sink)
{
	size_t used = 0;
	int rc = take_body(parser, parser->line, parser->line_length, &used, sink);
	if (rc < 0 || used == 0)
		return rc;
	bool whole = used == parser->line_length;
	parser->line_length = 0;
	return whole ? 0 : -ERR_PROTOCOL;
}

/* A complete line of the head, with its CRLF. */
static int take_head_line(struct http_response_parser *parser)
{
	const char *line = parser->line;
	size_t length = parser->line_length;

	parser->line_length = 0;
	parser->head_bytes += length;
	if (length < 2 || line[length - 2] != '\r' || parser->head_bytes > HTTP_RESPONSE_HEAD_BYTES)

		return -ERR_PROTOCOL;
	return parser->phase == HTTP_RESPONSE_STATUS_LINE
		       ? take_status_line(parser, line, length - 2)
		       : take_header(parser, line, length - 2);
}

/* Collects up to the end of a line, or all there is. */
static int gather_line(struct http_response_parser *parser, const char *bytes, size_t length,
		       size_t *ret_used, const struct sink *sink)
{
	const char *lf = memchr(bytes, '\n', length);
	size_t part = lf ? (size_t)(lf + 1 - bytes) : length;
	if (part > sizeof(parser->line) - parser->line_length)
		return -ERR_PROTOCOL;
	memcpy(parser->line + parser->line_length, bytes, part);
	parser->line_length += part;
	*ret_used = part;

	if (parser->phase == HTTP_RESPONSE_BODY)
		return take_frame_line(parser, sink);
	return lf ? take_head_line(parser) : 0;
}

/* One step; consumes *ret_used of the bytes. */
static int take_some(struct http_response_parser *parser, const char *bytes, size_t length,
		     size_t *ret_used, const struct sink *sink)
{
	if (parser->phase == HTTP_RESPONSE_DONE)
		return -ERR_PROTOCOL; /* only one response is expected */
	if (parser->phase == HTTP_RESPONSE_BODY_UNTIL_CLOSE) {
		if (sink->on_body)
			sink->on_body(sink->ctx, bytes, length);
		*ret_used = length;
		return 0;
	}

	if (parser->phase == HTTP_RESPONSE_BODY && parser->line_length == 0) {
		int rc = take_body(parser, bytes, length, ret_used, sink);
		if (rc < 0 || *ret_used > 0 || parser->phase == HTTP_RESPONSE_DONE)
			return rc;
	}
	return gather_line(parser, bytes, length, ret_used, sink);
}

int http_response_feed(struct http_response_parser *parser, const char *bytes, size_t length,
		       void (*on_body)(void *ctx, const char *bytes, size_t length), void *ctx)
{
	const struct sink sink = {on_body, ctx};
	for (size_t at = 0, used = 0; at < length; at += used) {
		int rc = take_some(parser, bytes + at, length - at, &used, &sink);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int http_response_close(struct http_response_parser *parser)
{
	if (parser->phase == HTTP_RESPONSE_BODY_UNTIL_CLOSE)
		parser->phase = HTTP_RESPONSE_DONE;
	return parser->phase == HTTP_RESPONSE_DONE ? 0 : -ERR_PROTOCOL;
}
