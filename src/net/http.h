/* http: requests as the server layer sees them, and answers by exchange number. What is malformed
 * (framing, header syntax, sizes, Host count) was refused before: CASES.md C 2, 19 to 24, 30. */
#pragma once
#include "http/field.h"
#include "net/net.h"

struct http_request {
	uint64_t conn;      /* this exchange */
	const char *method; /* "GET", .. as sent */
	const char
		*path; /* without query; percent-decoding is refused for anything but plain bytes */
	const char *query; /* "" when absent, raw */
	/* Header values or NULL; a header that may appear once appeared once. */
	const char *host, *origin, *authorization, *content_type, *accept, *cookie, *user_agent,
		*sec_fetch_site, *last_event_id, *if_none_match, *accept_encoding, *range,
		*if_range, *access_control_request_method;
	struct http_field_iterator fields; /* all of them, as they were sent; copy it to walk */
	const char *body;                  /* NUL-terminated after body_length */
	size_t body_length;
	bool streamed;      /* the body comes by on_body and on_body_end */
	int64_t body_bytes; /* as announced; -1: in chunks, nobody knows */
	struct net_peer peer;
	bool websocket; /* a correct RFC 6455 upgrade, version 13 */
	bool reserved;  /* came in on one of the last, reserved connections */
};

/* Collected: a longer body is refused (413), and on_request gets it whole within body_time_ms, or
 * 408. Streamed: on_request comes first, then pieces as they arrive; body_time_ms is then how long
 * nothing may arrive. What breaks it off is answered by net, if nothing was yet, and is on_gone. */
struct http_body_rule {
	bool streamed;
	uint64_t bytes_max; /* collected: LIMIT_COLLECT_BYTES at most; streamed: any */
};

struct http_header {
	const char *name, *value;
};
