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

/* Content-Length and Date are added. The answer is copied. */
void http_reply(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		size_t header_count, const char *body, size_t body_length);
/* The same with `length` bytes of an open file as its body. Takes the descriptor. Sent by and by,
 * as the peer takes it; a file that turns out shorter ends the connection. */
void http_reply_file(struct net *net, uint64_t conn, int status, const struct http_header *headers,
		     size_t header_count, int file, uint64_t offset, uint64_t length);
/* A streamed body: nothing more is read until it goes on, and the client feels it. At most one read
 * (64 KiB) is kept meanwhile. An answer that is whole before the body is ends both: the rest is
 * thrown away and the connection closed. */
void http_pause_body(struct net *net, uint64_t conn, bool paused);
/* A streamed answer (SSE, long listings, what a proxy brings): chunked on HTTP/1.1; it may begin
 * while the request's body still comes. */
void http_stream_begin(struct net *net, uint64_t conn, int status,
		       const struct http_header *headers, size_t header_count);
/* The bytes are taken, by copy if need be. False: more than 64 KiB wait for the peer, so write on
 * when on_writable comes; who writes on regardless loses the connection past
 * LIMIT_SEND_BUFFER_BYTES. Also false for an exchange that is gone. */
bool http_stream_write(struct net *net, uint64_t conn, const char *bytes, size_t length);
/* Bytes not yet taken by the peer. */
size_t http_stream_pending(const struct net *net, uint64_t conn);
void http_stream_end(struct net *net, uint64_t conn);
/* What was to follow cannot: the connection is cut, so that the peer does not take the stream for a
 * whole one. Nothing is told of it any more. */
void http_stream_abort(struct net *net, uint64_t conn);
/* Turns the exchange into a session with the same number. `conn` must come from a request with
 * websocket set. */
int http_accept_websocket(struct net *net, uint64_t conn);
