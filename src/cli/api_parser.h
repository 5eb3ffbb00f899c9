/* api_parser: an HTTP/1.1 answer from bytes as they come: head, then a body by length, in chunks or
 * until the close. No I/O. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum api_state {
	API_STATUS_LINE,
	API_HEADER,
	API_BODY, /* body_left bytes more */
	API_BODY_UNTIL_CLOSE,
	API_CHUNK_SIZE,
	API_CHUNK_END, /* the line end behind a chunk */
	API_TRAILER,
	API_DONE,
};

struct api_parser {
	enum api_state state;
	int status;
	bool chunked, length_known;
	uint64_t body_left;
	size_t line_length;
	char line[8192];
};

void api_parser_init(struct api_parser *parser);
/* Takes all bytes; body bytes go to `on_body`, which may be NULL. 0, or -ERR_PROTOCOL: this is no
 * HTTP answer. */
int api_parser_feed(struct api_parser *parser, const char *bytes, size_t length,
		    void (*on_body)(void *ctx, const char *bytes, size_t length), void *ctx);
/* The peer closed: 0 if the answer is whole, else -ERR_PROTOCOL. */
int api_parser_close(struct api_parser *parser);
