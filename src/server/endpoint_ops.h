/* endpoint_ops: what is done with an endpoint of each kind, and by whom. A new kind is a file with
 * its operations and a line of startup.c. */
#pragma once
#include "server/endpoints.h"

struct send_effect;
struct text;

/* `ctx` is what the kind's part was registered with. NULL: nothing is to be done. */
struct endpoint_ops {
	/* An effect for it. */
	void (*send)(void *ctx, struct endpoint *endpoint, const struct send_effect *send);
	/* What its client said; sessions only. Borrowed for the call. */
	void (*message)(void *ctx, struct endpoint *endpoint, const char *text, size_t length);
	/* Its connection is gone; the caller shuts the endpoint. */
	void (*gone)(void *ctx, struct endpoint *endpoint);
	/* Its answer was taken by the client's kernel. May shut it. */
	void (*delivered)(void *ctx, struct endpoint *endpoint);
	/* The broker stops: the last message. May shut it. */
	void (*drain)(void *ctx, struct endpoint *endpoint);
	/* What it was let in for is good no longer. May shut it. */
	void (*shut_out)(void *ctx, struct endpoint *endpoint);
	/* Streams: a comment that keeps proxies from closing them. */
	void (*keepalive)(void *ctx, struct endpoint *endpoint, const struct text *comment);
};

/* From now on `ops` and `ctx`, both borrowed, serve the endpoints of this kind. */
void endpoints_serve(struct endpoints *endpoints, enum endpoint_kind kind,
		     const struct endpoint_ops *ops, void *ctx);

/* Each calls the operation of the connection's endpoint; no-op when there is none. */
void endpoints_send(struct endpoints *endpoints, uint64_t conn, const struct send_effect *send);
void endpoints_message(struct endpoints *endpoints, uint64_t conn, const char *text, size_t length);
void endpoints_gone(struct endpoints *endpoints, uint64_t conn); /* then shuts it */
void endpoints_delivered(struct endpoints *endpoints, uint64_t conn);

/* Of all endpoints. */
void endpoints_drain(struct endpoints *endpoints);
/* Of all of a principal. */
void endpoints_shut_out(struct endpoints *endpoints, const char *principal);
void endpoints_keepalive(struct endpoints *endpoints, const struct text *comment);
/* How many take a keepalive. */
unsigned endpoints_stream_count(const struct endpoints *endpoints);
