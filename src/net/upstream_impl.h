/* upstream_impl: private to src/net/upstream*.c, shared by them. A transfer is freed only in
 * transfer_free, which never runs inside a call of libcurl: there it would recurse. What callbacks
 * ask for is recorded, and done in the flush at the end of the iteration. */
#pragma once
#include <curl/curl.h>
#include <event2/event_struct.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mono.h"
#include "net/upstream.h"

struct loop;

enum {
	UPSTREAM_AHEAD_BYTES = 64 * 1024, /* unsent bytes beyond which the writer must wait */
	UPSTREAM_LOW_BYTES = 16 * 1024,   /* and at which it may resume */
	UPSTREAM_HEAD_BYTES = 64 * 1024,
};

struct upstream {
	struct loop *loop;
	CURLM *multi;
	struct event timer; /* libcurl's own */
	struct transfer **slots;
	unsigned slot_count, count;
	uint64_t sequence;
	struct list changed;             /* transfers that the flush must process */
	struct upstream_socket *sockets; /* that libcurl has open */
	unsigned socket_count, socket_capacity;
	bool flush_deferred, destroyed;
	bool begun; /* libcurl was given a transfer that it has not looked at */
};

struct upstream_socket {
	int fd, local_port, port; /* 0: not connected when it was last looked at */
	bool used;
	char owner[LIMIT_PRINCIPAL_BYTES + 1]; /* of what it was used for */
};

/* What went over a socket, by the kernel's count. */
struct upstream_mark {
	bool known;
	uint64_t sent, acked, received;
};

struct transfer {
	struct upstream *upstream;
	uint64_t id;
	const struct upstream_handlers *handlers;
	void *ctx;
	struct list changed; /* upstream.changed */
	char owner[LIMIT_PRINCIPAL_BYTES + 1];
	CURL *easy;
	bool tls;
	struct curl_slist *fields;
	enum upstream_phase phase;
	bool added;          /* libcurl has it */
	bool cancelled;      /* no more callbacks */
	bool paused, halted; /* by the reader; in libcurl */

	int status; /* of the response */
	struct buf head;
	size_t head_bytes; /* of all heads, interim ones too, and of trailers */
	bool in_head, has_length, has_encoding;

	struct buf body; /* complete: sent up to body_at; streamed: unsent bytes */
	size_t body_at;
	unsigned asked;            /* how often it went out, or began to */
	bool rewound;              /* for the second time */
	bool elsewhere;            /* it may not have its connection, and takes a new one */
	bool fresh;                /* it has one that was not used before */
	bool reused;               /* it has one that was */
	int fd;                    /* that it went out on; -1: not known, or closed */
	struct upstream_mark mark; /* of that, before it went out */
	bool idempotent;           /* done twice it is as done once: by its method */
	bool may_repeat;           /* as was known when that was closed */
	int64_t body_left;         /* to be written; -1: any */
	bool sends_body;           /* after the head, by pieces */
	bool streamed, body_ended, starved /* libcurl waits for more */, writer_waits;

	int connect_time_ms, first_byte_time_ms, idle_time_ms;
	struct event deadline;
	struct mono_ms progress_at;
	bool looked_at; /* was late once, see upstream_deadline.c */
	struct event end;
	bool end_looked_at;

	bool raw, raw_open; /* it is no HTTP; and connected: the events are in use */
	struct event raw_read, raw_write;

	int err; /* why we end it; 0: ask libcurl */
	const char *what;
	bool nobody; /* as in struct upstream_end */
	char curl_words[CURL_ERROR_SIZE];
};

/* upstream.c */
void transfer_changed(struct transfer *transfer); /* queues it for the flush */
void transfer_end(struct transfer *transfer, int err, const char *what);
void transfer_fail(struct transfer *transfer, int err, const char *what); /* ends it in the flush */
void upstream_reap(struct upstream *upstream); /* after each call that may have ended some */

/* upstream_socket.c. Takes the socket between these ports for a transfer; false: it may not have
 * it, another one then. Whether it may be sent again. Its answer is over. */
void upstream_socket_watch(struct upstream *upstream, CURL *easy);
bool upstream_socket_take(struct transfer *transfer, int local_port, int port);
bool upstream_socket_may_repeat(const struct transfer *transfer);
/* What was sent since the mark was not read, nor will be. False: it may have been. */
struct upstream_mark upstream_socket_mark(int fd);
bool upstream_socket_cannot_be_read(int fd, const struct upstream_mark *mark);
/* What came now was sent before the request had arrived: whoever has any of that acknowledges it
 * with all that it sends. False: it need not have been. */
bool upstream_socket_came_before(const struct transfer *transfer);
void upstream_socket_acknowledge(const struct transfer *transfer);

/* upstream_curl.c: 0, -ERR_BAD_FIELD or -ERR_NO_MEMORY. */
int transfer_prepare(struct transfer *transfer, const struct upstream_request *request);
int transfer_err(const struct transfer *transfer, CURLcode code, const char **ret_what);

/* upstream_deadline.c */
void transfer_deadline_init(struct transfer *transfer, int total_time_ms);
void transfer_deadline_begin(struct transfer *transfer); /* also when the phase changes */
void transfer_progress(struct transfer *transfer);

/* upstream_raw.c: connected; written to, or not paused any more (false: it is gone); before it is
 * closed. */
void transfer_raw_begin(struct transfer *transfer);
bool transfer_raw_serve(struct transfer *transfer);
void transfer_raw_end(struct transfer *transfer);

/* upstream_poll.c: libcurl's sockets and timer on the loop. */
void upstream_poll_init(struct upstream *upstream);
void upstream_poll_begin(struct upstream *upstream); /* what was added starts now */
