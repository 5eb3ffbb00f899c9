/* request_parser: splits a head into lines, and collects the body after it in one piece. Lines are
 * parsed in request_head.c and request_target.c, body framing in body.c. */
#include "http/request_parser.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "http/fault.h"
#include "http/field.h"
#include "http/request_head.h"
#include "http/request_target.h"

static_assert(LIMIT_REQUEST_LINE_BYTES + LIMIT_HEADER_BYTES + LIMIT_COLLECT_BYTES < UINT32_MAX / 4,
	      "positions in a request fit 32 bits");

enum line { LINE_WHOLE, LINE_PART, LINE_BAD };

/* The line at parser->line_start, if its CRLF has arrived. A bare LF, a bare CR or a NUL is
 * detected once the line's LF has arrived. */
static enum line find_line(struct http_request_parser *parser, char *bytes, size_t length,
			   char **ret_line, size_t *ret_length, struct http_fault *ret_fault)
{
	const char *lf = memchr(bytes + parser->scanned, '\n', length - parser->scanned);
	if (!lf) {
		parser->scanned = (uint32_t)length;
		return LINE_PART;
	}

	char *line = bytes + parser->line_start;
	size_t whole = (size_t)(lf - line);
	if (whole == 0 || line[whole - 1] != '\r') {
		http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "a line ends in a bare LF");
		return LINE_BAD;
	}
	parser->scanned = parser->line_start = (uint32_t)(lf + 1 - bytes);
	*ret_line = line;
	*ret_length = whole - 1;
	return LINE_WHOLE;
}

static bool read_request_line(struct http_request_parser *parser, char *bytes, char *line,
			      size_t length, struct http_fault *ret_fault)
{
	if (!http_read_request_line(parser, bytes, line, length, ret_fault))
		return false;
	parser->fields_start = parser->line_start;
	parser->phase = HTTP_FIELDS;
	return true;
}

static bool read_field_line(struct http_request_parser *parser, char *bytes, char *line,
			    size_t length, struct http_fault *ret_fault)
{
	if (length == 0) {
		parser->body_start = parser->line_start;
		return http_judge_head(parser, bytes, ret_fault);
	}

	if (parser->line_start - parser->fields_start > LIMIT_HEADER_BYTES)
		return http_refuse(ret_fault, 431, ERR_HEADERS_TOO_LARGE, "headers too long");
	if (++parser->field_count > LIMIT_HEADER_COUNT)
		return http_refuse(ret_fault, 431, ERR_HEADERS_TOO_LARGE, "too many headers");
	return http_read_field(parser, bytes, line, length, ret_fault);
}

/* An incomplete line may not grow past what a complete one may have. */
static bool check_part(const struct http_request_parser *parser, size_t length,
		       struct http_fault *ret_fault)
{
	if (parser->phase == HTTP_REQUEST_LINE &&
	    length - parser->line_start > LIMIT_REQUEST_LINE_BYTES)
		return http_refuse(ret_fault, 414, ERR_HEADERS_TOO_LARGE, "request line too long");
	if (parser->phase == HTTP_FIELDS && length - parser->fields_start > LIMIT_HEADER_BYTES)
		return http_refuse(ret_fault, 431, ERR_HEADERS_TOO_LARGE, "headers too long");
	return true;
}

/* One line of the head. HTTP_COMPLETE here means: continue with the next one. */
static enum http_result step_line(struct http_request_parser *parser, char *bytes, size_t length,
				  struct http_fault *ret_fault)
{
	char *line = NULL;
	size_t line_length = 0;
	enum line found = find_line(parser, bytes, length, &line, &line_length, ret_fault);
	if (found == LINE_BAD)
		return HTTP_REFUSED;
	if (found == LINE_PART)
		return check_part(parser, length, ret_fault) ? HTTP_MORE : HTTP_REFUSED;

	bool fine = true;
	if (parser->phase == HTTP_FIELDS)
		fine = read_field_line(parser, bytes, line, line_length, ret_fault);
	else if (line_length > LIMIT_REQUEST_LINE_BYTES)
		fine = http_refuse(ret_fault, 414, ERR_HEADERS_TOO_LARGE, "request line too long");
	else
		fine = read_request_line(parser, bytes, line, line_length, ret_fault);
	return fine ? HTTP_COMPLETE : HTTP_REFUSED;
}

/* Moves the pieces up to the head and removes their framing, so that the body is contiguous and
 * memory use does not depend on the chunking. */
static enum http_result collect_body(struct http_request_parser *parser, char *bytes,
				     size_t *length, struct http_fault *ret_fault)
{
	size_t at = parser->scanned, used = 0;
	size_t end = parser->body_start + parser->body_length;
	struct http_piece piece;
	enum http_body_result result;

	while ((result = http_body_read(&parser->body, bytes + at, *length - at, &used, &piece,
					ret_fault)) == HTTP_BODY_PIECE) {
		if (piece.bytes != bytes + end)
			memmove(bytes + end, piece.bytes, piece.length);
		end += piece.length;
		at += used;
	}
	at += used;
	if (result == HTTP_BODY_REFUSED)
		return HTTP_REFUSED;

	if (at != end) {
		memmove(bytes + end, bytes + at, *length - at);
		*length -= at - end;
	}
	parser->body_length = (uint32_t)end - parser->body_start;
	parser->scanned = parser->total = (uint32_t)end;
	if (result == HTTP_BODY_MORE)
		return HTTP_MORE;
	parser->phase = HTTP_DONE;
	return HTTP_COMPLETE;
}

enum http_result http_request_parse(struct http_request_parser *parser, char *bytes, size_t *length,
				    struct http_fault *ret_fault)
{
	enum http_result result = HTTP_COMPLETE;

	assert(parser->phase != HTTP_DONE);
	assert(parser->scanned <= *length);
	if (parser->phase == HTTP_BODY)
		return collect_body(parser, bytes, length, ret_fault);

	while (result == HTTP_COMPLETE && parser->phase != HTTP_BODY)
		result = step_line(parser, bytes, *length, ret_fault);

	if (result != HTTP_COMPLETE)
		return result;
	parser->total = parser->body_start;
	return HTTP_HEAD;
}

const char *http_request_value(const struct http_request_parser *parser, const char *bytes,
			       enum http_known_field field)
{
	return parser->values[field] ? bytes + parser->values[field] : NULL;
}

struct http_field_iterator http_request_fields(const struct http_request_parser *parser,
					       const char *bytes)
{
	return (struct http_field_iterator){bytes + parser->fields_start,
					    bytes + parser->body_start - strlen("\r\n")};
}
