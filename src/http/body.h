/* body: the framing of a message's body, by length or chunked, read as strictly as the head
 * (CASES.md C 19 to 22). It returns pointers into the input and keeps no bytes, so a body of any
 * length costs no more memory than one read. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct http_fault;

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
	uint64_t left;      /* of the body, or of the current chunk */
	uint64_t bytes;     /* of the body, so far */
	uint64_t bytes_max; /* a longer one is refused (413), if possible by its announced length */
	uint32_t trailer_bytes;
};

struct http_piece {
	const char *bytes;
	size_t length;
};

enum http_body_result {
	HTTP_BODY_MORE,  /* the bytes after *ret_used are part of a line: pass them again, with more
			  */
	HTTP_BODY_PIECE, /* *ret_piece is body: call again with the bytes after *ret_used */
	HTTP_BODY_END,   /* the body ended at *ret_used */
	HTTP_BODY_REFUSED
};

void http_body_by_length(struct http_body *ret_body, uint64_t length, uint64_t bytes_max);
void http_body_by_chunks(struct http_body *ret_body, uint64_t bytes_max);
/* The caller never has to keep more than 4 KiB. Trailers are checked and dropped. */
enum http_body_result http_body_read(struct http_body *body, const char *bytes, size_t length,
				     size_t *ret_used, struct http_piece *ret_piece,
				     struct http_fault *ret_fault);
