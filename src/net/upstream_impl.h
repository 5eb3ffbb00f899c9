/* upstream_impl: what the files of upstream share. Private to src/net/upstream*.c. A transfer is
 * freed in transfer_free alone, which never runs inside a call of libcurl: there it would be
 * recursive. What a callback asks for is noted, and done in the flush at the end of the turn. */
#pragma once
#include <curl/curl.h>
#include <event2/event_struct.h>

#include "base/buf.h"
#include "base/list.h"
#include "net/loop.h"
#include "net/upstream.h"

enum {
	UPSTREAM_AHEAD_BYTES = 64 * 1024, /* written and not sent; then the writer is to wait */
	UPSTREAM_LOW_BYTES = 16 * 1024,   /* and here it may go on */
	UPSTREAM_HEAD_BYTES = 64 * 1024,
};

struct upstream {
	struct loop *loop;
	CURLM *multi;
	struct event timer; /* libcurl's own */
	struct transfer **slots;
	unsigned slot_count, count;
	uint64_t sequence;
	struct list changed; /* transfers that the flush has to look at */
	bool flush_deferred, destroyed;
};

struct transfer {
	struct upstream *upstream;
	uint64_t id;
	const struct upstream_handlers *handlers;
	void *ctx;
	struct list changed; /* upstream.changed */
	CURL *easy;
	struct curl_slist *fields;
	enum upstream_phase phase;
	bool added;          /* libcurl has it */
	bool cancelled;      /* nobody is told any more */
	bool paused, halted; /* the reader wants no more; libcurl was told so */

	int status; /* of the answer */
	struct buf head;
	bool in_head, has_length, has_encoding;

	struct buf body; /* whole: sent up to body_at; streamed: what is not sent */
	size_t body_at;
	int64_t body_left; /* to be written; -1: any */
	bool has_body, streamed, body_ended, starved /* libcurl waits for more */, writer_waits;

	int connect_time_ms, first_byte_time_ms, idle_time_ms;
	struct event deadline;
	struct mono_ms progress_at;
	bool looked_at; /* late once already, see upstream_deadline.c */

	int err; /* why we end it ourselves; 0: ask libcurl */
	const char *what;
	char curl_words[CURL_ERROR_SIZE];
};

/* upstream.c */
void transfer_changed(struct transfer *transfer); /* the flush looks at it */
void transfer_end(struct transfer *transfer, int err, const char *what);
void transfer_fail(struct transfer *transfer, int err, const char *what); /* ends it in the flush */
void upstream_reap(struct upstream *upstream); /* after each call that may have ended some */

/* upstream_curl.c: 0, -ERR_BAD_FIELD or -ERR_NO_MEMORY. */
int transfer_prepare(struct transfer *transfer, const struct upstream_request *request);
int transfer_err(const struct transfer *transfer, CURLcode code, const char **ret_what);

/* upstream_deadline.c */
void transfer_deadline_init(struct transfer *transfer);
void transfer_deadline_begin(struct transfer *transfer); /* also where the phase changes */
void transfer_progress(struct transfer *transfer);

/* upstream_poll.c: libcurl's sockets and timer on the loop. */
void upstream_poll_init(struct upstream *upstream);
