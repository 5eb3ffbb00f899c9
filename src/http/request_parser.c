/* request_parser: framing: lines, lengths and chunks. What a line means is in request_head.c and
 * request_target.c. Called by net/http.c with a connection's bytes, by the fuzzer and by tests. */
#include "http/request_parser.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "http/request_head.h"

enum {
	CHUNK_LINE_BYTES = 256, /* size, extensions */
	CHUNK_DIGITS_MAX = 8,   /* far over the body limit, far under overflow */
	TRAILER_BYTES_MAX = 4 * 1024,
};

static_assert(LIMIT_REQUEST_LINE_BYTES + LIMIT_HEADER_BYTES + LIMIT_BODY_BYTES < UINT32_MAX / 4,
	      "positions in a request fit 32 bits");

enum line { LINE_WHOLE, LINE_PART, LINE_BAD };

/* The line from parser->line_start, if its CRLF is there. A bare LF, a bare CR or a NUL is found
 * as soon as the line's LF is. */
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

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* chunk-size [ ";" extensions ]. No space anywhere before the extensions, no sign, no prefix. */
static bool read_chunk_size(struct http_request_parser *parser, const char *line, size_t length,
			    struct http_fault *ret_fault)
{
	uint32_t size = 0;
	size_t digits = 0;
	while (digits < length && hex_digit(line[digits]) >= 0) {
		if (digits == CHUNK_DIGITS_MAX)
			return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "chunk size too long");
		size = size * 16 + (uint32_t)hex_digit(line[digits++]);
	}
	if (digits == 0 || (digits < length && line[digits] != ';'))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "malformed chunk size");
	for (size_t i = digits; i < length; i++) {
		unsigned char byte = (unsigned char)line[i];
		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
					   "control byte in a chunk extension");
	}
	if (size > LIMIT_BODY_BYTES - parser->body_length)
		return http_refuse(ret_fault, 413, ERR_TOO_LARGE, "chunked body over the limit");
	parser->body_left = size;
	parser->phase = size ? HTTP_CHUNK_DATA : HTTP_TRAILERS;
	return true;
}

static bool read_trailer_line(struct http_request_parser *parser, char *line, size_t length,
			      struct http_fault *ret_fault)
{
	if (length == 0) {
		parser->phase = HTTP_DONE;
		return true;
	}
	parser->trailer_bytes += (uint32_t)length + 2;
	if (parser->trailer_bytes > TRAILER_BYTES_MAX)
		return http_refuse(ret_fault, 431, ERR_HEADERS_TOO_LARGE, "trailers too long");
	return http_read_trailer(line, length, ret_fault);
}

/* An incomplete line may not grow past what a complete one may have. */
static bool check_part(const struct http_request_parser *parser, size_t length,
		       struct http_fault *ret_fault)
{
	size_t part = length - parser->line_start;
	switch (parser->phase) {
	case HTTP_REQUEST_LINE:
		if (part > LIMIT_REQUEST_LINE_BYTES)
			return http_refuse(ret_fault, 414, ERR_HEADERS_TOO_LARGE,
					   "request line too long");
		return true;
	case HTTP_FIELDS:
		if (length - parser->fields_start > LIMIT_HEADER_BYTES)
			return http_refuse(ret_fault, 431, ERR_HEADERS_TOO_LARGE,
					   "headers too long");
		return true;
	case HTTP_CHUNK_SIZE:
		if (part > CHUNK_LINE_BYTES)
			return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "chunk line too long");
		return true;
	case HTTP_TRAILERS:
		if (part > TRAILER_BYTES_MAX)
			return http_refuse(ret_fault, 431, ERR_HEADERS_TOO_LARGE,
					   "trailers too long");
		return true;
	case HTTP_BODY:
	case HTTP_CHUNK_DATA:
	case HTTP_CHUNK_END:
	case HTTP_DONE:
		break;
	}
	return true;
}

/* One line of whatever phase it is. HTTP_COMPLETE here means: go on with the next step. */
static enum http_result step_line(struct http_request_parser *parser, char *bytes, size_t length,
				  struct http_fault *ret_fault)
{
	char *line = NULL;
	size_t line_length = 0;
	bool fine = true;
	enum line found = find_line(parser, bytes, length, &line, &line_length, ret_fault);
	if (found == LINE_BAD)
		return HTTP_REFUSED;
	if (found == LINE_PART)
		return check_part(parser, length, ret_fault) ? HTTP_MORE : HTTP_REFUSED;
	if (parser->phase == HTTP_REQUEST_LINE && line_length > LIMIT_REQUEST_LINE_BYTES)
		fine = http_refuse(ret_fault, 414, ERR_HEADERS_TOO_LARGE, "request line too long");
	else if (parser->phase == HTTP_REQUEST_LINE)
		fine = read_request_line(parser, bytes, line, line_length, ret_fault);
	else if (parser->phase == HTTP_FIELDS)
		fine = read_field_line(parser, bytes, line, line_length, ret_fault);
	else if (parser->phase == HTTP_CHUNK_SIZE && line_length > CHUNK_LINE_BYTES)
		fine = http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "chunk line too long");
	else if (parser->phase == HTTP_CHUNK_SIZE)
		fine = read_chunk_size(parser, line, line_length, ret_fault);
	else
		fine = read_trailer_line(parser, line, line_length, ret_fault);
	return fine ? HTTP_COMPLETE : HTTP_REFUSED;
}

static enum http_result step_body(struct http_request_parser *parser, size_t length)
{
	size_t there = length - parser->body_start;
	if (there < parser->body_length)
		return HTTP_MORE;
	parser->scanned = parser->body_start + parser->body_length;
	parser->phase = HTTP_DONE;
	return HTTP_COMPLETE;
}

/* Moves what is there of the chunk up to the body; the gap is closed in http_parse. */
static enum http_result step_chunk_data(struct http_request_parser *parser, char *bytes,
					size_t length)
{
	size_t n = length - parser->scanned;
	if (n > parser->body_left)
		n = parser->body_left;
	memmove(bytes + parser->body_start + parser->body_length, bytes + parser->scanned, n);
	parser->body_length += (uint32_t)n;
	parser->body_left -= (uint32_t)n;
	parser->scanned += (uint32_t)n;
	if (parser->body_left)
		return HTTP_MORE;
	parser->phase = HTTP_CHUNK_END;
	return HTTP_COMPLETE;
}

static enum http_result step_chunk_end(struct http_request_parser *parser, const char *bytes,
				       size_t length, struct http_fault *ret_fault)
{
	size_t there = length - parser->scanned;
	if (there && memcmp(bytes + parser->scanned, "\r\n", there < 2 ? there : 2) != 0) {
		http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "no CRLF after a chunk");
		return HTTP_REFUSED;
	}
	if (there < 2)
		return HTTP_MORE;
	parser->scanned += 2;
	parser->line_start = parser->scanned;
	parser->phase = HTTP_CHUNK_SIZE;
	return HTTP_COMPLETE;
}

/* Chunk lines, data already moved and trailers are cut out, so that the body stands behind the
 * head in one piece and memory stays flat however the body is chunked. */
static void close_gap(struct http_request_parser *parser, char *bytes, size_t *length)
{
	size_t body_end = parser->body_start + parser->body_length;
	size_t keep_from = parser->phase == HTTP_CHUNK_SIZE || parser->phase == HTTP_TRAILERS
				   ? parser->line_start
				   : parser->scanned;
	size_t gap = keep_from - body_end;
	if (gap == 0)
		return;
	memmove(bytes + body_end, bytes + keep_from, *length - keep_from);
	*length -= gap;
	parser->scanned -= (uint32_t)gap;
	parser->line_start = (uint32_t)body_end;
}

enum http_result http_request_parse(struct http_request_parser *parser, char *bytes, size_t *length,
				    struct http_fault *ret_fault)
{
	enum http_result result = HTTP_COMPLETE;
	assert(parser->phase != HTTP_DONE);
	while (result == HTTP_COMPLETE && parser->phase != HTTP_DONE) {
		assert(parser->scanned <= *length);
		if (parser->phase == HTTP_BODY)
			result = step_body(parser, *length);
		else if (parser->phase == HTTP_CHUNK_DATA)
			result = step_chunk_data(parser, bytes, *length);
		else if (parser->phase == HTTP_CHUNK_END)
			result = step_chunk_end(parser, bytes, *length, ret_fault);
		else
			result = step_line(parser, bytes, *length, ret_fault);
	}
	if (result == HTTP_REFUSED)
		return result;
	if (parser->values[HTTP_TRANSFER_ENCODING] && parser->phase > HTTP_BODY)
		close_gap(parser, bytes, length);
	parser->total = parser->body_start + parser->body_length;
	return result;
}

const char *http_request_value(const struct http_request_parser *parser, const char *bytes,
			       enum http_field field)
{
	return parser->values[field] ? bytes + parser->values[field] : NULL;
}
