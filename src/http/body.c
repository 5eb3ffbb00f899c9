/* body: see body.h. Used by the parsers of requests and responses, and directly for streamed
 * bodies. */
#include "http/body.h"

#include <string.h>

#include "base/err.h"
#include "http/fault.h"
#include "http/field.h"

enum {
	CHUNK_LINE_BYTES = 256, /* size, extensions */
	CHUNK_DIGITS_MAX = 8,   /* 4 GiB, far under overflow */
	TRAILER_BYTES_MAX = 4 * 1024,
};

enum line { LINE_WHOLE, LINE_PART, LINE_BAD };

void http_body_by_length(struct http_body *ret_body, uint64_t length, uint64_t bytes_max)
{
	*ret_body = (struct http_body){
		.phase = HTTP_BODY_BY_LENGTH, .left = length, .bytes_max = bytes_max};
}

void http_body_by_chunks(struct http_body *ret_body, uint64_t bytes_max)
{
	*ret_body = (struct http_body){.phase = HTTP_BODY_CHUNK_SIZE, .bytes_max = bytes_max};
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
static bool read_chunk_size(struct http_body *body, const char *line, size_t length,
			    struct http_fault *ret_fault)
{
	uint64_t size = 0;
	size_t digits = 0;
	if (length > CHUNK_LINE_BYTES)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "chunk line too long");

	while (digits < length && hex_digit(line[digits]) >= 0) {
		if (digits == CHUNK_DIGITS_MAX)
			return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "chunk size too long");
		size = size * 16 + (uint64_t)hex_digit(line[digits++]);
	}
	if (digits == 0 || (digits < length && line[digits] != ';'))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "malformed chunk size");

	for (size_t i = digits; i < length; i++) {
		unsigned char byte = (unsigned char)line[i];
		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
					   "control byte in a chunk extension");
	}

	if (size > body->bytes_max - body->bytes)
		return http_refuse(ret_fault, 413, ERR_TOO_LARGE, "chunked body over the limit");
	body->left = size;
	body->phase = size ? HTTP_BODY_CHUNK_DATA : HTTP_BODY_TRAILERS;
	return true;
}

/* Refuses trailers that would change framing or routing. */
static bool read_trailer(struct http_body *body, const char *line, size_t length,
			 struct http_fault *ret_fault)
{
	struct http_field field;
	if (length == 0) {
		body->phase = HTTP_BODY_OVER;
		return true;
	}

	body->trailer_bytes += (uint32_t)length + 2;
	if (body->trailer_bytes > TRAILER_BYTES_MAX)
		return http_refuse(ret_fault, 431, ERR_HEADERS_TOO_LARGE, "trailers too long");

	if (!http_field_split(line, length, &field, ret_fault))
		return false;
	if (http_field_is(&field, "content-length") || http_field_is(&field, "transfer-encoding") ||
	    http_field_is(&field, "host"))
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST,
				   "a framing header among the trailers");
	return true;
}

/* An incomplete line may not grow past what a complete one may have. */
static bool check_part(const struct http_body *body, size_t length, struct http_fault *ret_fault)
{
	if (body->phase == HTTP_BODY_CHUNK_SIZE && length > CHUNK_LINE_BYTES)
		return http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "chunk line too long");
	if (length > TRAILER_BYTES_MAX)
		return http_refuse(ret_fault, 431, ERR_HEADERS_TOO_LARGE, "trailers too long");
	return true;
}

static enum line read_line(struct http_body *body, const char *bytes, size_t length,
			   size_t *ret_used, struct http_fault *ret_fault)
{
	const char *lf = memchr(bytes, '\n', length);
	*ret_used = 0;
	if (!lf)
		return check_part(body, length, ret_fault) ? LINE_PART : LINE_BAD;

	size_t whole = (size_t)(lf - bytes);
	if (whole == 0 || bytes[whole - 1] != '\r') {
		http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "a line ends in a bare LF");
		return LINE_BAD;
	}

	*ret_used = whole + 1;
	bool fine = body->phase == HTTP_BODY_CHUNK_SIZE
			    ? read_chunk_size(body, bytes, whole - 1, ret_fault)
			    : read_trailer(body, bytes, whole - 1, ret_fault);
	return fine ? LINE_WHOLE : LINE_BAD;
}

static enum line read_chunk_end(struct http_body *body, const char *bytes, size_t length,
				size_t *ret_used, struct http_fault *ret_fault)
{
	*ret_used = 0;
	if (length && memcmp(bytes, "\r\n", length < 2 ? length : 2) != 0) {
		http_refuse(ret_fault, 400, ERR_BAD_REQUEST, "no CRLF after a chunk");
		return LINE_BAD;
	}
	if (length < 2)
		return LINE_PART;
	*ret_used = 2;
	body->phase = HTTP_BODY_CHUNK_SIZE;
	return LINE_WHOLE;
}

static enum http_body_result take_data(struct http_body *body, const char *bytes, size_t length,
				       size_t *used, struct http_piece *ret_piece)
{
	size_t n = length < body->left ? length : (size_t)body->left;
	if (n == 0)
		return HTTP_BODY_MORE;

	body->left -= n;
	body->bytes += n;
	if (body->left == 0)
		body->phase =
			body->phase == HTTP_BODY_BY_LENGTH ? HTTP_BODY_OVER : HTTP_BODY_CHUNK_END;

	*ret_piece = (struct http_piece){bytes, n};
	*used += n;
	return HTTP_BODY_PIECE;
}

/* One step; HTTP_BODY_PIECE with an empty piece: continue. */
static enum http_body_result read_step(struct http_body *body, const char *bytes, size_t length,
				       size_t *used, struct http_piece *ret_piece,
				       struct http_fault *ret_fault)
{
	size_t line_used = 0;
	enum line line = LINE_BAD;

	if (body->phase == HTTP_BODY_BY_LENGTH && body->left > body->bytes_max - body->bytes) {
		http_refuse(ret_fault, 413, ERR_TOO_LARGE, "body over the limit");
		return HTTP_BODY_REFUSED;
	}

	if (body->phase == HTTP_BODY_BY_LENGTH && body->left == 0)
		body->phase = HTTP_BODY_OVER;
	if (body->phase == HTTP_BODY_OVER)
		return HTTP_BODY_END;
	if (body->phase == HTTP_BODY_BY_LENGTH || body->phase == HTTP_BODY_CHUNK_DATA)
		return take_data(body, bytes, length, used, ret_piece);

	if (body->phase == HTTP_BODY_CHUNK_END)
		line = read_chunk_end(body, bytes, length, &line_used, ret_fault);
	else
		line = read_line(body, bytes, length, &line_used, ret_fault);
	*used += line_used;
	return line == LINE_WHOLE  ? HTTP_BODY_PIECE
	       : line == LINE_PART ? HTTP_BODY_MORE
				   : HTTP_BODY_REFUSED;
}

enum http_body_result http_body_read(struct http_body *body, const char *bytes, size_t length,
				     size_t *ret_used, struct http_piece *ret_piece,
				     struct http_fault *ret_fault)
{
	size_t used = 0;
	enum http_body_result result;
	*ret_piece = (struct http_piece){0};
	do {
		result = read_step(body, bytes + used, length - used, &used, ret_piece, ret_fault);
	} while (result == HTTP_BODY_PIECE && ret_piece->length == 0);
	*ret_used = used;
	return result;
}
