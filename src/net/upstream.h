/* upstream: HTTP/1.1 requests to servers that were chosen before, on the loop, over libcurl. No
 * redirect is followed, no proxy is taken from the environment, no cookie is kept, nothing is
 * decompressed. Connections are used again; a request that finds its one dead is sent once more.
 *
 * A request has a number, used once per run; where it is over, a call does nothing. Callbacks come
 * in this order: on_head once, on_body any number of times, on_end once and last; on_writable any
 * time before. None comes within upstream_start, none after upstream_cancel or upstream_destroy.
 * All functions but upstream_destroy may be called from within them. One thread. Memory per
 * request: one read (16 KiB), the head (64 KiB), what was written ahead (64 KiB). */
#pragma once
#include "http/field.h"
#include "net/http.h"

struct loop;
struct upstream;

enum upstream_phase { UPSTREAM_CONNECT, UPSTREAM_SEND, UPSTREAM_HEAD, UPSTREAM_BODY };

struct upstream_end {
	int err;                   /* 0: all was well; else of base/err.h, without the minus */
	enum upstream_phase phase; /* in which it ended: until UPSTREAM_BODY nothing was told */
	const char *what;          /* in words, for logs and operators; "" when all was well */
};

struct upstream_handlers {
	/* The final status; fields are borrowed. A head that two readers could read differently
	 * (two lengths, a length beside chunks, a folded line) is ERR_UPSTREAM_BROKEN instead. */
	void (*on_head)(void *ctx, uint64_t request, int status, struct http_field_iterator fields);
	void (*on_body)(void *ctx, uint64_t request, const char *bytes, size_t length);
	void (*on_writable)(void *ctx, uint64_t request); /* NULL: no streamed bodies */
	void (*on_end)(void *ctx, uint64_t request, const struct upstream_end *end);
};

struct upstream_request {
	const char *method, *url;         /* http or https, without user or fragment */
	const char *unix_path;            /* connects there, the URL is for the Host; or NULL */
	const struct http_header *fields; /* but those that frame, hop or name the host */
	size_t field_count;
	const char *body; /* whole; or `streamed`, by upstream_write */
	size_t body_length;
	bool streamed;
	int64_t body_bytes; /* of a streamed one, as announced; -1: in chunks */
	/* Until connected; from sent to the answer's first byte; without a byte while sending or
	 * reading. 0: no limit. What waits for us (a pause, a body not written) is not timed. */
	int connect_time_ms, first_byte_time_ms, idle_time_ms;
};

int upstream_create(struct loop *loop, unsigned requests_max, struct upstream **ret_upstream);
void upstream_destroy(struct upstream *upstream); /* takes NULL */
/* All is copied but `handlers`, borrowed until the request is over. -ERR_BAD_FIELD: not such a
 * method, URL or field; -ERR_TOO_MANY_CONNECTIONS: requests_max run; -ERR_NO_MEMORY. */
int upstream_start(struct upstream *upstream, const struct upstream_request *request,
		   const struct upstream_handlers *handlers, void *ctx, uint64_t *ret_request);
void upstream_cancel(struct upstream *upstream, uint64_t request); /* closes its connection */
/* Paused, nothing more is read, and the server feels it. */
void upstream_pause(struct upstream *upstream, uint64_t request, bool paused);
/* A piece of a streamed body, copied. False: wait for on_writable; who writes on regardless loses
 * the request past LIMIT_SEND_BUFFER_BYTES. */
bool upstream_write(struct upstream *upstream, uint64_t request, const char *bytes, size_t length);
void upstream_write_end(struct upstream *upstream, uint64_t request);
unsigned upstream_count(const struct upstream *upstream);
