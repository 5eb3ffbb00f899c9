/* net: listeners and connections. Knows requests and sessions, never leases. Every HTTP exchange
 * and every session has a number (`conn`) that is never reused within a run. All calls and
 * callbacks run on the loop's thread; a callback may reply at once or at any later time by number.
 * Calls are no-ops once the peer is gone. The limits of base/limits.h are checked before any
 * callback. */
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
	int64_t pid, uid; /* SO_PEERCRED, else 0 and -1 */
	bool crowded; /* over the limit, in total or per process: admitted only to resume a session,
			 or for a short request */
	uint64_t pid_start; /* /proc/PID/stat field 22; 0: unknown */
	int pidfd;          /* of a line session's process, in on_session only; else -1 */
};

struct net_handlers {
	/* A whole, well-formed request, or one whose body follows in pieces (request->streamed).
	 * `request` is borrowed for the call; answer with http_reply.h by request->conn. A
	 * WebSocket request has request->websocket set; accept it with http_accept_websocket. */
	void (*on_request)(void *ctx, const struct http_request *request);
	/* The peer of an unanswered or streaming exchange disconnected, its streamed body was
	 * malformed or stalled, or a response could not be sent completely. No callback follows. */
	void (*on_gone)(void *ctx, uint64_t conn);
	/* The kernel accepted the response's last byte. */
	void (*on_delivered)(void *ctx, uint64_t conn);
	/* A line session on the Unix socket. (WebSocket sessions begin in on_request.) The callee
	 * owns peer->pidfd and must close it. */
	void (*on_session)(void *ctx, uint64_t conn, const struct net_peer *peer);
	/* One text message, at most LIMIT_FRAME_BYTES, valid UTF-8, NUL-terminated after `length`.
	 */
	void (*on_message)(void *ctx, uint64_t conn, const char *text, size_t length);
	/* A session ended, on either side's initiative; exactly once. `clean`: with a close frame
	 * from the peer. */
	void (*on_closed)(void *ctx, uint64_t conn, bool clean);
	/* What the client did wrong, in words for the log; never the client's bytes. conn may be 0.
	 */
	void (*on_protocol_error)(void *ctx, uint64_t conn, int err, const char *what);

	/* The following may be NULL. Without on_head, bodies are collected up to LIMIT_BODY_BYTES;
	 * on_head requires on_body and on_body_end.
	 *
	 * Decides how the request's body is received, before any of it is read. The request has no
	 * number yet and must not be answered; *rule holds the default. */
	void (*on_head)(void *ctx, const struct http_request *request, struct http_body_rule *rule);
	/* A piece of a streamed body, never empty, borrowed for the call; it may pause the body or
	 * answer the request. None follows a complete response. */
	void (*on_body)(void *ctx, uint64_t conn, const char *bytes, size_t length);
	void (*on_body_end)(void *ctx, uint64_t conn); /* the body was complete and well-formed */
	/* The kernel has accepted all that http_stream_write took, after it had returned false. */
	void (*on_writable)(void *ctx, uint64_t conn);
};

struct net_options {
	unsigned connections_max; /* LIMIT_CONNECTIONS unless configured */
	/* The number of reserved connections, at most half of all; on them request->reserved is
	 * set. TCP may use half of them, HTTP over the Unix socket all, new line sessions three
	 * quarters; but once line sessions fill half of the general ones, only one quarter, and
	 * only to resume (peer->crowded). */
	unsigned connections_reserved_max;
	int header_time_ms, body_time_ms, write_time_ms;
	int ping_time_ms;  /* between WebSocket pings; 0: 10 s */
	int close_time_ms; /* for a close handshake, or to read a final response; 0: 2 s */
	unsigned connections_per_process_max; /* over Unix sockets, by pid; 0: unlimited */
};

/* `handlers` and `ctx` are borrowed until net_destroy. */
int net_create(struct loop *loop, const struct net_options *options,
	       const struct net_handlers *handlers, void *ctx, struct net **ret_net);
void net_destroy(struct net *net); /* takes NULL; closes everything at once */
unsigned net_connection_count(const struct net *net);
