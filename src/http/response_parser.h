/* response_parser: an HTTP/1.1 answer from bytes as they come: head, then a body by length, in
 * chunks or until the close. As strict as the parser of requests, and as blind to all fields that
 * do not frame. No I/O, no allocation. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/body.h"

enum http_response_phase {
	HTTP_RESPONSE_STATUS_LINE,
	HTTP_RESPONSE_HEADER,
	HTTP_RESPONSE_BODY,
	HTTP_RESPONSE_BODY_UNTIL_CLOSE,
	HTTP_RESPONSE_DONE
};

enum { HTTP_RESPONSE_LINE_BYTES = 8 * 1024, HTTP_RESPONSE_HEAD_BYTES = 64 * 1024 };

/* All zero is the start of an answer. */
struct http_response_parser {
	enum http_response_phase phase;
	int status; /* of the latest status line: interim answers (1xx) are read over */
	bool chunked, length_known;
	uint64_t length;
	struct http_body body;
	size_t head_bytes, line_length;
	char line[HTTP_RESPONSE_LINE_BYTES]; /* not whole yet */
};

void http_response_init(struct http_response_parser *parser);
/* Takes all bytes; body bytes go to `on_body`, which may be NULL. 0, or -ERR_PROTOCOL: this is no
 * HTTP answer. */
int http_response_feed(struct http_response_parser *parser, const char *bytes, size_t length,
		       void (*on_body)(void *ctx, const char *bytes, size_t length), void *ctx);
/* The peer closed: 0 if the answer is whole, else -ERR_PROTOCOL. */
int http_response_close(struct http_response_parser *parser);
