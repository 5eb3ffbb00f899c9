/* request_parser: parses one HTTP/1.x request, strictly: refuses what two parsers could read
 * differently (CASES.md C 2, 19 to 26). Works in place; no allocation, no I/O, no knowledge of
 * connections; the same code runs under the fuzzer. Why not a library: docs/decisions/0002. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/body.h"
#include "http/field.h"

struct http_fault;

/* Header fields whose values are kept; all others are checked and dropped. */
enum http_known_field {
	HTTP_HOST,
	HTTP_ORIGIN,
	HTTP_AUTHORIZATION,
	HTTP_CONTENT_TYPE,
	HTTP_ACCEPT,
	HTTP_COOKIE,
	HTTP_USER_AGENT,
	HTTP_SEC_FETCH_SITE,
	HTTP_LAST_EVENT_ID,
	HTTP_IF_NONE_MATCH,
	HTTP_ACCEPT_ENCODING,
	HTTP_RANGE,
	HTTP_IF_RANGE,
	HTTP_REQUEST_METHOD,  /* Access-Control-Request-Method */
	HTTP_REQUEST_HEADERS, /* Access-Control-Request-Headers */
	HTTP_API_KEY,         /* X-Api-Key */
	HTTP_WS_KEY,
	HTTP_WS_VERSION,
	HTTP_CONTENT_LENGTH,
	HTTP_TRANSFER_ENCODING,
	HTTP_CONNECTION,
	HTTP_UPGRADE,
	HTTP_EXPECT,
	HTTP_FIELD_COUNT
};

enum http_phase { HTTP_REQUEST_LINE, HTTP_FIELDS, HTTP_BODY, HTTP_DONE };

enum http_result {
	HTTP_MORE,
	HTTP_HEAD, /* the head is complete: the body may get another limit, or be read in pieces */
	HTTP_COMPLETE,
	HTTP_REFUSED
};

/* Zero-initialized at the start of a request. Positions are offsets from the request's first byte,
 * so the bytes may move between calls; 0 means "absent" (no value begins there). */
struct http_request_parser {
	enum http_phase phase;
	uint32_t scanned;    /* bytes already searched for a line's end */
	uint32_t line_start; /* of the line that is still incomplete */
	uint32_t fields_start, field_count;
	uint32_t body_start, body_length; /* of what has arrived, contiguous after the head */
	struct http_body body;            /* bytes_max is LIMIT_BODY_BYTES unless changed */
	uint32_t path, query, target_host;
	uint32_t values[HTTP_FIELD_COUNT];
	uint32_t total; /* bytes of the head; of the whole request once it is complete */
	bool is_http10, close, upgrade_connection, upgrade_websocket, expect_continue, websocket;
};

/* Continues in bytes[0..*length), which start at the request's first byte and hold everything
 * passed before. Returns HTTP_HEAD once, when the head is complete; called again, it collects the
 * body: writes NULs over delimiters and removes chunk framing, so *length may shrink. To read the
 * body in pieces, use parser->body instead (http/body.h). Bytes after parser->total belong to the
 * next request. */
enum http_result http_request_parse(struct http_request_parser *parser, char *bytes, size_t *length,
				    struct http_fault *ret_fault);
/* NULL when absent. */
const char *http_request_value(const struct http_request_parser *parser, const char *bytes,
			       enum http_known_field field);
/* All fields of a complete head, known or not. */
struct http_field_iterator http_request_fields(const struct http_request_parser *parser,
					       const char *bytes);
