/* endpoint_ops: what the server does with an endpoint of each kind. A new kind is a row of
 * endpoint_ops.c and a file with its operations. */
#pragma once
#include "core/send.h"
#include "server/endpoints.h"
#include "wire/text.h"

struct server;

/* NULL: nothing is to be done. */
struct endpoint_ops {
	/* An effect for it. */
	void (*send)(struct server *server, struct endpoint *endpoint,
		     const struct send_effect *send);
	/* What its client said; sessions only. Borrowed for the call. */
	void (*message)(struct server *server, struct endpoint *endpoint, const char *text,
			size_t length);
	/* Its connection is gone; the caller shuts the endpoint. */
	void (*gone)(struct server *server, struct endpoint *endpoint);
	/* Its answer was taken by the client's kernel. May shut it. */
	void (*delivered)(struct server *server, struct endpoint *endpoint);
	/* The broker stops: the last message. May shut it. */
	void (*drain)(struct server *server, struct endpoint *endpoint);
	/* Streams: a comment that keeps proxies from closing them. */
	void (*keepalive)(struct server *server, struct endpoint *endpoint,
			  const struct text *comment);
};

extern const struct endpoint_ops lock_request_ops, lock_answered_ops;    /* lock_request.c */
extern const struct endpoint_ops lock_stream_ops;                        /* lock_stream.c */
extern const struct endpoint_ops event_feed_ops;                         /* event_feed.c */
extern const struct endpoint_ops status_stream_ops;                      /* routes_monitoring.c */
extern const struct endpoint_ops greeting_ops, session_ops, leaving_ops; /* sessions.c */

const struct endpoint_ops *endpoint_ops_of(enum endpoint_kind kind);
