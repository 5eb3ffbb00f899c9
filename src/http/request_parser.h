/* request_parser: one HTTP/1.x request out of bytes, strictly: what two readers could read
 * differently is refused (CASES.md C 2, 19 to 26). Works in place, allocates nothing, does no I/O,
 * knows no connection; the same code runs under the fuzzer. Why it is ours: docs/decisions/0002. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/body.h"
#include "http/field.h"

/* Header fields whose values are kept; all others are checked and forgotten. */
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
	HTTP_REQUEST_METHOD, /* Access-Control-Request-Method */
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
	HTTP_HEAD, /* the head is whole: the body may be given another bound, or taken in pieces */
	HTTP_COMPLETE,
	HTTP_REFUSED
};

/* All zero is the start of a request. Positions count from the request's first byte, so the bytes
 * may move between calls; 0 stands for "absent" (no value begins there). */
struct http_request_parser {
	enum http_phase phase;
	uint32_t scanned;    /* bytes that need no second look */
	uint32_t line_start; /* of the line that is not complete yet */
	uint32_t fields_start, field_count;
	uint32_t body_start, body_length; /* of what is there, in one piece behind the head */
	struct http_body body;            /* bytes_max is LIMIT_BODY_BYTES until somebody sets it */
	uint32_t path, query, target_host;
	uint32_t values[HTTP_FIELD_COUNT];
	uint32_t total; /* bytes of the head, and of the whole request when it is complete */
	bool is_http10, close, upgrade_connection, upgrade_websocket, expect_continue, websocket;
};

/* Reads on in bytes[0..*length), which start at the request's first byte and hold everything given
 * before. Returns HTTP_HEAD once, when the head is whole; called again it collects the body: writes
 * NULs over delimiters, and removes what frames a chunked body, so *length may shrink. Whoever
 * wants the body in pieces takes parser->body instead (http/body.h). Bytes behind parser->total
 * belong to the next request. */
enum http_result http_request_parse(struct http_request_parser *parser, char *bytes, size_t *length,
				    struct http_fault *ret_fault);
/* NULL when absent. */
const char *http_request_value(const struct http_request_parser *parser, const char *bytes,
			       enum http_known_field field);
/* All fields of a head that is whole, known or not. */
struct http_field_iterator http_request_fields(const struct http_request_parser *parser,
					       const char *bytes);
