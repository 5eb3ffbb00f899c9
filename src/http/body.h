/* body: the frame around a message's body, by length or in chunks, read as strictly as the head
 * (CASES.md C 19 to 22). It points at what of the bytes is body and keeps none of them, so a body
 * of any length costs no more memory than one read. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "http/fault.h"

enum http_body_phase {
	HTTP_BODY_BY_LENGTH,
	HTTP_BODY_CHUNK_SIZE,
	HTTP_BODY_CHUNK_DATA,
	HTTP_BODY_CHUNK_END,
	HTTP_BODY_TRAILERS,
	HTTP_BODY_OVER
};

struct http_body {
	enum http_body_phase phase;
	uint64_t left;      /* of the body, or of this chunk */
	uint64_t bytes;     /* of body, so far */
	uint64_t bytes_max; /* a longer one is refused (413), by its announced length already */
	uint32_t trailer_bytes;
};

struct http_piece {
	const char *bytes;
	size_t length;
};

enum http_body_result {
	HTTP_BODY_MORE,  /* bytes behind *ret_used are a part of a line: give them again, with more
			  */
	HTTP_BODY_PIECE, /* *ret_piece is body: call again with what stands behind *ret_used */
	HTTP_BODY_END,   /* the body ended at *ret_used, what follows is not its */
	HTTP_BODY_REFUSED
};

void http_body_by_length(struct http_body *ret_body, uint64_t length, uint64_t bytes_max);
void http_body_by_chunks(struct http_body *ret_body, uint64_t bytes_max);
/* The lines kept by the caller stay under 4 KiB. Trailers are checked and dropped. */
enum http_body_result http_body_read(struct http_body *body, const char *bytes, size_t length,
				     size_t *ret_used, struct http_piece *ret_piece,
				     struct http_fault *ret_fault);
