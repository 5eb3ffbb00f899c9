/* conn: private to src/net, shared by its files: the connection and its deadlines. A connection is
 * closed in one function (conn_drop) and freed at the end of the iteration; until then every
 * function accepts it and is a no-op. */
#pragma once
#include <event2/event_struct.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mono.h"
#include "http/request_parser.h"
#include "http/ws_frame.h"
#include "net/deadline.h"
#include "net/net.h"

struct http_fault;
struct net;

enum {
	CONN_READ_BYTES = 64 * 1024,  /* read budget per iteration and connection */
	CONN_AHEAD_BYTES = 64 * 1024, /* pipelined ahead of a response; beyond it, reading stops */
	CONN_STREAM_BYTES =
		64 * 1024,           /* unsent bytes of a stream; beyond it, its writer must wait */
	CONN_REFUSED_MAX = 32,       /* connections over the limit, kept open to send the refusal */
	CONN_WRITE_BYTES_MIN = 4096, /* the least a reader must take in each write_time_ms */
	CONN_FILE_BYTES = 256 * 1024, /* of a file, per iteration and connection */
	CONN_FILE_LAPSES_MAX = 12,    /* a page that compiles does not read for a while */
};

struct conn;
struct crowd_process;

/* What differs between HTTP, WebSocket, lines and a connection that is only being closed. */
struct conn_kind {
	/* Consumes bytes[0..length) and returns how many are left; these are moved to the front.
	 * bytes[length] is writable. */
	size_t (*feed)(struct conn *conn, char *bytes, size_t length);
	void (*eof)(struct conn *conn);     /* the peer shut down its side */
	void (*flushed)(struct conn *conn); /* the kernel has all output */
	void (*expired)(struct conn *conn, enum deadline_kind kind);
	void (*lost)(struct conn *conn); /* conn_drop: report the loss; frees nothing */
	bool hears_out;  /* what a peer sent before it closed counts, though it takes no answer */
	bool is_patient; /* with a peer that does not read */
};

enum exchange { EXCHANGE_NONE, EXCHANGE_OPEN, EXCHANGE_STREAM, EXCHANGE_FLUSH };

struct http_conn {
	struct http_request_parser parser;
	enum exchange exchange;
	bool keep_alive, head_only, is_http10, websocket, continue_sent;
	bool receiving;        /* a streamed body has not ended yet */
	bool held;             /* its reader has paused it */
	bool expects_continue; /* its client waits for 100 Continue */
	bool writer_waits;     /* on_writable is due */
	bool sized;            /* a stream of a length that was announced */
	uint64_t stream_left;  /* of it */
	struct buf due_head;   /* of a stream: goes out with its first bytes */
	struct list due;       /* net.due_heads */
	struct http_body body; /* while receiving */
	char ws_key[25];
};

struct session_conn {
	struct ws_parser ws; /* unused by line sessions */
	bool closing;        /* we have sent a close frame */
	bool awaiting_pong;
	unsigned rate; /* messages allowed a second; 0: LIMIT_MESSAGES_PER_S */
	double tokens; /* messages allowed now */
	struct mono_ms tokens_at;
};

struct conn {
	struct net *net;
	const struct conn_kind *kind;
	uint64_t id; /* of the exchange or session; 0: between exchanges */
	uint32_t slot;
	int fd; /* -1: dropped */
	bool reserved, refused, paused, half_closed;
	bool deaf;           /* its peer takes nothing any more */
	bool feeding, again; /* inside kind->feed; feed left input that can be processed at once */
	struct event read_event, write_event;
	struct buf in, out;
	int file; /* sent after `out`; owned; -1: none */
	off_t file_at;
	uint64_t file_left;
	unsigned file_lapses; /* consecutive write deadlines without progress */
	struct list idle;     /* net.idle: keep-alive connections without an exchange */
	struct mono_ms idle_since;
	struct list queue; /* net.ready: has input to process; or net.dropped */
	struct deadline read_deadline, write_deadline;
	uint64_t written, written_mark; /* bytes sent in total; at the start of write_deadline */
	struct net_peer peer;
	struct crowd_process *process; /* NULL: not counted */
	bool counted_session;
	struct http_conn http;
	struct session_conn session;
};

/* conn.c */
struct conn *conn_create(struct net *net, int fd, const struct conn_kind *kind,
			 const struct net_peer *peer);
void conn_drop(struct conn *conn); /* closes now, frees at the end of the iteration */
/* Flushes `out`, then reads and discards input for a moment, so that the peer sees the response and
 * not a reset. Reports nothing more. */
void conn_linger(struct conn *conn);
void conn_idles(struct conn *conn); /* from now on, may be dropped in favor of a new connection */
static inline bool conn_is_dropped(const struct conn *conn)
{
	return conn->fd < 0;
}
/* Copies nothing that the kernel accepts at once. Two pieces, to send a head and a body in one
 * write. */
void conn_write(struct conn *conn, const void *head, size_t head_length, const void *body,
		size_t body_length);
/* Sends part of a file after what was written, from the page cache to the socket, a piece per
 * iteration; takes ownership of the descriptor. */
void conn_write_file(struct conn *conn, int file, uint64_t offset, uint64_t length);
static inline bool conn_has_output(const struct conn *conn)
{
	return conn->out.length > 0 || conn->file >= 0;
}
void conn_pause(struct conn *conn, bool paused);
void conn_stop_reading(struct conn *conn); /* for good */
void conn_process(struct conn *conn);      /* what is in `in`, once */
void conn_process_later(struct conn *conn);
void conn_process_soon(struct conn *conn); /* even if nothing is left to read */
void conn_free(struct conn *conn);         /* only from net_flush */
void conn_deadline(struct conn *conn, enum deadline_kind kind); /* replaces; NONE stops */
void conn_expired(struct conn *conn, enum deadline_kind kind);
void conn_reports(struct conn *conn, int err, const char *what); /* on_protocol_error */

/* The protocols. */
extern const struct conn_kind conn_http, conn_websocket, conn_line, conn_tunnel;
