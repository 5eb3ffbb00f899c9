/* http: requests as the server layer sees them, and answers by exchange number. What is malformed
 * (framing, header syntax, sizes, Host count) was refused before: CASES.md C 2, 19 to 24, 30. */
#pragma once
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
	const char *body; /* NUL-terminated after body_length */
	size_t body_length;
	struct net_peer peer;
	bool websocket; /* a correct RFC 6455 upgrade, version 13 */
	bool reserved;  /* came in on one of the last, reserved connections */
};

struct http_header {
	const char *name, *value;
};

/* Content-Length and Date are added. The answer is copied. */
void http_reply(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		size_t header_count, const char *body, size_t body_length);
/* The same with `length` bytes of an open file as its body. Takes the descriptor. Sent by and by,
 * as the peer takes it; a file that turns out shorter ends the connection. */
void http_reply_file(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		     size_t header_count, int file, uint64_t offset, uint64_t length);
/* A streamed answer (SSE, long listings): chunked on HTTP/1.1. */
void http_stream_begin(struct net *net, uint64_t conn, int status,
		       const struct http_header *headers, size_t header_count);
void http_stream_write(struct net *net, uint64_t conn, const char *bytes, size_t length);
/* Bytes not yet taken by the peer; the writer slows down by itself. */
size_t http_stream_pending(const struct net *net, uint64_t conn);
void http_stream_end(struct net *net, uint64_t conn);
/* Turns the exchange into a session with the same number. `conn` must come from a request with
 * websocket set. */
int http_accept_websocket(struct net *net, uint64_t conn);
