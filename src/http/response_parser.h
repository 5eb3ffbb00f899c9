/* response_parser: an HTTP/1.1 answer from bytes as they come: head, then a body by length, in
 * chunks or until the close. No I/O. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_response_phase {
	HTTP_RESPONSE_STATUS_LINE,
	HTTP_RESPONSE_HEADER,
	HTTP_RESPONSE_BODY, /* body_left bytes more */
	HTTP_RESPONSE_BODY_UNTIL_CLOSE,
	HTTP_RESPONSE_CHUNK_SIZE,
	HTTP_RESPONSE_CHUNK_END, /* the line end behind a chunk */
	HTTP_RESPONSE_TRAILER,
	HTTP_RESPONSE_DONE,
};

struct http_response_parser {
	enum http_response_phase state;
	int status;
	bool chunked, length_known;
	uint64_t body_left;
	size_t line_length;
	char line[8192];
};

void http_response_init(struct http_response_parser *parser);
/* Takes all bytes; body bytes go to `on_body`, which may be NULL. 0, or -ERR_PROTOCOL: this is no
 * HTTP answer. */
int http_response_feed(struct http_response_parser *parser, const char *bytes, size_t length,
		       void (*on_body)(void *ctx, const char *bytes, size_t length), void *ctx);
/* The peer closed: 0 if the answer is whole, else -ERR_PROTOCOL. */
int http_response_close(struct http_response_parser *parser);
