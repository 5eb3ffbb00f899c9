/* net: listeners and connections. Knows requests and sessions, never leases. Every HTTP exchange
 * and every session has a number (`conn`) that is used once per run. All calls and callbacks are on
 * the loop's thread; a callback may reply at once or any time later by number. A number whose peer
 * is gone is no error: the call does nothing. Limits are base/limits.h, checked before a callback
 * sees anything. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net;
struct loop;
struct http_request;
struct http_body_rule;

struct net_peer {
	bool is_unix;
	int64_t pid, uid;   /* SO_PEERCRED, else 0 and -1 */
	bool crowded;       /* places, or its own, are used up: let in only to resume a session, or
			       for a short request */
	uint64_t pid_start; /* /proc/PID/stat field 22; 0: unknown */
	int pidfd;          /* of a line session's process, for on_session alone; else -1 */
};

struct net_handlers {
	/* A whole, well-formed request, or one whose body follows in pieces (request->streamed).
	 * `request` is borrowed for the call; answer with http.h by request->conn. A request for a
	 * WebSocket has request->websocket set; take it with http_accept_websocket. */
	void (*on_request)(void *ctx, const struct http_request *request);
	/* The peer of an unanswered or streaming exchange left, its streamed body was malformed or
	 * stalled, or an answer could not be handed over whole. Nothing follows. */
	void (*on_gone)(void *ctx, uint64_t conn);
	/* The answer's last byte was handed to the kernel. */
	void (*on_delivered)(void *ctx, uint64_t conn);
	/* A line session on the Unix socket. (WebSocket sessions begin by on_request.) Takes over
	 * peer->pidfd, to be closed by the callee. */
	void (*on_session)(void *ctx, uint64_t conn, const struct net_peer *peer);
	/* One text message, at most LIMIT_FRAME_BYTES, valid UTF-8, NUL-terminated after `length`.
	 */
	void (*on_message)(void *ctx, uint64_t conn, const char *text, size_t length);
	/* A session's connection ended, whoever ended it; exactly once. `clean`: a close frame was
	 * seen. */
	void (*on_closed)(void *ctx, uint64_t conn, bool clean);
	/* What the client did wrong, in words, for the log; never its bytes. conn may be 0. */
	void (*on_protocol_error)(void *ctx, uint64_t conn, int err, const char *what);

	/* What follows may be NULL. Without on_head bodies are collected up to LIMIT_BODY_BYTES;
	 * who has it has on_body and on_body_end, too.
	 *
	 * How is the body wanted that this request has? Asked before any of it is read; the request
	 * has no number yet and may not be answered, *rule is the default. */
	void (*on_head)(void *ctx, const struct http_request *request, struct http_body_rule *rule);
	/* A piece of a streamed body, never empty, borrowed for the call; in it http_pause_body may
	 * be called, and all of http.h. None comes after an answer to the request is whole. */
	void (*on_body)(void *ctx, uint64_t conn, const char *bytes, size_t length);
	void (*on_body_end)(void *ctx, uint64_t conn); /* it was whole, and well-formed */
	/* All that http_stream_write took is with the kernel, after it had said to wait. */
	void (*on_writable)(void *ctx, uint64_t conn);
};

struct net_options {
	unsigned connections_max; /* LIMIT_CONNECTIONS unless configured */
	/* The last so many, at most half of all: request->reserved is set. TCP gets half of them;
	 * HTTP over the Unix socket all; new line sessions three quarters, but when line sessions
	 * have half of the other places themselves, only one quarter, and only those that resume
	 * (peer->crowded). */
	unsigned connections_reserved_max;
	int header_time_ms, body_time_ms, write_time_ms;
	int ping_time_ms;  /* between WebSocket pings; 0: 10 s */
	int close_time_ms; /* for a close handshake, and to read a last answer; 0: 2 s */
	unsigned connections_per_process_max; /* over Unix sockets, by pid; 0: any number */
};

/* `handlers` and `ctx` are borrowed until net_destroy. */
int net_create(struct loop *loop, const struct net_options *options,
	       const struct net_handlers *handlers, void *ctx, struct net **ret_net);
void net_destroy(struct net *net); /* takes NULL; closes everything at once */
unsigned net_connection_count(const struct net *net);
