/* http: requests as the server layer sees them. Malformed ones (framing, header syntax, sizes, Host
 * count) have been refused before: CASES.md C 2, 19 to 24, 30. */
#pragma once
#include "http/field.h"
#include "net/net.h"

struct http_request {
	uint64_t conn;      /* this exchange */
	const char *method; /* "GET", .. as sent */
	const char *path;   /* without query; only unreserved bytes are percent-decoded */
	const char *query;  /* "" when absent, raw */
	/* Header values or NULL; a header that may appear once appeared once. */
	const char *host, *origin, *authorization, *content_type, *accept, *cookie, *user_agent,
		*sec_fetch_site, *last_event_id, *if_none_match, *accept_encoding, *range,
		*if_range, *access_control_request_method, *access_control_request_headers,
		*api_key;
	struct http_field_iterator fields; /* all fields as sent; iterate over a copy */
	const char *body;                  /* NUL-terminated after body_length */
	size_t body_length;
	bool streamed;      /* the body follows through on_body and on_body_end */
	int64_t body_bytes; /* as announced; -1: chunked, unknown */
	struct net_peer peer;
	bool websocket; /* a correct RFC 6455 upgrade, version 13 */
	bool reserved;  /* arrived on one of the last, reserved connections */
};

/* Collected: on_request gets the whole body; a longer one is refused with 413, one that takes more
 * than body_time_ms with 408. Streamed: on_request comes first, then pieces as they arrive;
 * body_time_ms then limits each pause between them. On a failure net calls on_gone and sends the
 * error response, unless a response has begun. */
struct http_body_rule {
	bool streamed;
	uint64_t bytes_max; /* collected: LIMIT_COLLECT_BYTES at most; streamed: any */
};

struct http_header {
	const char *name, *value;
};
struct conn;
struct http_fault;

/* For the other files of src/net. */
void http_conn_refuse(struct conn *conn, const struct http_fault *fault);
