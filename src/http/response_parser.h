/* response_parser: parses an HTTP/1.1 response as it arrives: the head, then a body by length,
 * chunked or until the close. As strict as the request parser; ignores all fields but framing ones.
 * No I/O, no allocation. */
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

/* Zero-initialized at the start of a response. */
struct http_response_parser {
	enum http_response_phase phase;
	int status; /* of the latest status line: interim responses (1xx) are skipped */
	bool chunked, length_known;
	uint64_t length;
	struct http_body body;
	size_t head_bytes, line_length;
	char line[HTTP_RESPONSE_LINE_BYTES]; /* still incomplete */
};

void http_response_init(struct http_response_parser *parser);
/* Consumes all bytes; passes body bytes to `on_body`, which may be NULL. 0, or -ERR_PROTOCOL: not a
 * valid HTTP response. */
int http_response_feed(struct http_response_parser *parser, const char *bytes, size_t length,
		       void (*on_body)(void *ctx, const char *bytes, size_t length), void *ctx);
/* The peer closed: 0 if the response is complete, else -ERR_PROTOCOL. */
int http_response_close(struct http_response_parser *parser);
