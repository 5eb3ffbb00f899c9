/* response_parser: see response_parser.h. Strict where framing is concerned, and blind to all
 * headers that do not frame. Called by cli/http_client.c. */
#include "http/response_parser.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

void http_response_init(struct http_response_parser *parser)
{
	memset(parser, 0, sizeof(*parser));
}

static int take_status_line(struct http_response_parser *parser)
{
	const char *line = parser->line;
	if (strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12 || line[8] != ' ' ||
	    strspn(line + 9, "0123456789") != 3)
		return -ERR_PROTOCOL;
	parser->status = atoi(line + 9);
	parser->state = HTTP_RESPONSE_HEADER;
	return 0;
}

static bool header_is(const char *line, const char *name, const char **ret_value)
{
	size_t length = strlen(name);
	if (strncasecmp(line, name, length) != 0 || line[length] != ':')
		return false;
	*ret_value = line + length + 1 + strspn(line + length + 1, " \t");
	return true;
}

static int head_is_over(struct http_response_parser *parser)
{
	if (parser->status / 100 == 1) { /* an interim answer: the real one follows */
		parser->chunked = parser->length_known = false;
		parser->state = HTTP_RESPONSE_STATUS_LINE;
	} else if (parser->status == 204 || parser->status == 304) {
		parser->state = HTTP_RESPONSE_DONE;
	} else if (parser->chunked) {
		parser->state = HTTP_RESPONSE_CHUNK_SIZE;
	} else if (parser->length_known) {
		parser->state = parser->body_left ? HTTP_RESPONSE_BODY : HTTP_RESPONSE_DONE;
	} else {
		parser->state = HTTP_RESPONSE_BODY_UNTIL_CLOSE;
	}
	return 0;
}

static int take_header(struct http_response_parser *parser)
{
	const char *value;
	if (!parser->line[0])
		return head_is_over(parser);
	if (header_is(parser->line, "transfer-encoding", &value)) {
		if (strcasecmp(value, "chunked") != 0)
			return -ERR_PROTOCOL;
		parser->chunked = true;
	} else if (header_is(parser->line, "content-length", &value)) {
		size_t digits = strspn(value, "0123456789");
		if (digits == 0 || digits > 15 || value[digits])
			return -ERR_PROTOCOL;
		parser->length_known = true;
		parser->body_left = strtoull(value, NULL, 10);
	}
	return 0;
}

static int take_chunk_size(struct http_response_parser *parser)
{
	size_t digits = strspn(parser->line, "0123456789abcdefABCDEF");
	char after = parser->line[digits];
	if (digits == 0 || digits > 8 || (after && after != ';' && after != ' '))
		return -ERR_PROTOCOL;
	parser->body_left = strtoull(parser->line, NULL, 16);
	parser->state = parser->body_left ? HTTP_RESPONSE_BODY : HTTP_RESPONSE_TRAILER;
	return 0;
}

static int take_line(struct http_response_parser *parser)
{
	switch (parser->state) {
	case HTTP_RESPONSE_STATUS_LINE:
		return take_status_line(parser);
	case HTTP_RESPONSE_HEADER:
		return take_header(parser);
	case HTTP_RESPONSE_CHUNK_SIZE:
		return take_chunk_size(parser);
	case HTTP_RESPONSE_CHUNK_END:
		parser->state = HTTP_RESPONSE_CHUNK_SIZE;
		return parser->line[0] ? -ERR_PROTOCOL : 0;
	case HTTP_RESPONSE_TRAILER:
		if (!parser->line[0])
			parser->state = HTTP_RESPONSE_DONE;
		return 0;
	case HTTP_RESPONSE_BODY:
	case HTTP_RESPONSE_BODY_UNTIL_CLOSE:
	case HTTP_RESPONSE_DONE:
		break;
	}
	return -ERR_PROTOCOL;
}

/* One byte of a line; a whole line is judged. */
static int take_line_byte(struct http_response_parser *parser, char c)
{
	if (c != '\n') {
		if (parser->line_length + 1 >= sizeof(parser->line))
			return -ERR_PROTOCOL;
		parser->line[parser->line_length++] = c;
		return 0;
	}
	if (parser->line_length > 0 && parser->line[parser->line_length - 1] == '\r')
		parser->line_length--;
	parser->line[parser->line_length] = '\0';
	parser->line_length = 0;
	return take_line(parser);
}

int http_response_feed(struct http_response_parser *parser, const char *bytes, size_t length,
		       void (*on_body)(void *ctx, const char *bytes, size_t length), void *ctx)
{
	for (size_t at = 0; at < length;) {
		if (parser->state == HTTP_RESPONSE_DONE)
			return -ERR_PROTOCOL; /* we asked for one answer */
		if (parser->state != HTTP_RESPONSE_BODY &&
		    parser->state != HTTP_RESPONSE_BODY_UNTIL_CLOSE) {
			int r = take_line_byte(parser, bytes[at++]);
			if (r < 0)
				return r;
			continue;
		}
		size_t part = length - at;
		if (parser->state == HTTP_RESPONSE_BODY && part > parser->body_left)
			part = (size_t)parser->body_left;
		if (on_body)
			on_body(ctx, bytes + at, part);
		at += part;
		if (parser->state == HTTP_RESPONSE_BODY) {
			parser->body_left -= part;
			if (parser->body_left == 0)
				parser->state = parser->chunked ? HTTP_RESPONSE_CHUNK_END
								: HTTP_RESPONSE_DONE;
		}
	}
	return 0;
}

int http_response_close(struct http_response_parser *parser)
{
	if (parser->state == HTTP_RESPONSE_BODY_UNTIL_CLOSE)
		parser->state = HTTP_RESPONSE_DONE;
	return parser->state == HTTP_RESPONSE_DONE ? 0 : -ERR_PROTOCOL;
}
