/* upstream: HTTP/1.1 requests to given servers, on the loop, through libcurl. Follows no redirects,
 * uses no proxy from the environment, keeps no cookies, decompresses nothing. Connections are
 * reused, by one owner each, but not for streamed bodies, nor where bytes came after the last
 * answer, or may have (over TLS, where that had a length); a request that finds its connection dead
 * is sent again, once and within a second, unless its server may have read it; one that may be done
 * twice (GET), unless it is known to have.
 *
 * A request has a number, never reused within a run; calls are no-ops once it is over. Callbacks
 * come in this order: on_head once, on_body any number of times, on_end once and last; on_writable
 * any time before. None comes within upstream_start, or after upstream_cancel or upstream_destroy.
 * They may call any function but upstream_destroy. Single-threaded. Memory per request: one read
 * (16 KiB), the head (64 KiB), the body: of a streamed one what is unsent (64 KiB). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/field.h"

struct http_header;
struct loop;
struct upstream;

enum upstream_phase { UPSTREAM_CONNECT, UPSTREAM_SEND, UPSTREAM_HEAD, UPSTREAM_BODY };

struct upstream_end {
	int err; /* 0: success; else of base/err.h, positive */
	enum upstream_phase
		phase;    /* in which it ended; before UPSTREAM_BODY on_head was not called */
	const char *what; /* in words, for logs and operators; "" on success */
	bool nobody;      /* the kernel refused the connection: nobody listens there */
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
	const char *method, *url; /* http or https, without user or fragment */
	const char *unix_path;    /* connects there and uses the URL only for Host; or NULL */
	const char *host;         /* in place of the URL's; or NULL */
	const char *owner;        /* shares no connection with others; NULL: one of its own */
	const struct http_header *fields; /* except framing and hop-by-hop fields and Host */
	size_t field_count;
	const char *body; /* complete; or `streamed`, by upstream_write */
	size_t body_length;
	bool streamed;
	int64_t body_bytes; /* of a streamed body, to announce; -1: chunked */
	/* Until connected; from sent to the response's first byte; without a byte while sending or
	 * reading. 0: no limit. Waiting for the owner (a pause, an unwritten body) is not timed. */
	int connect_time_ms, first_byte_time_ms, idle_time_ms;
	int total_time_ms; /* from its start to the answer's last byte, whoever is slow; 0: none */
	/* No HTTP, but a connection: what is written goes as it is, on_body brings what comes, no
	 * on_head; on_end when the server ends it, or after upstream_write_end. */
	bool raw;
};

int upstream_create(struct loop *loop, unsigned requests_max, struct upstream **ret_upstream);
void upstream_destroy(struct upstream *upstream); /* takes NULL */
/* Copies everything but `handlers`, borrowed until the request is over. -ERR_BAD_FIELD: invalid
 * method, URL or field; -ERR_TOO_MANY_CONNECTIONS: requests_max are running; -ERR_NO_MEMORY. */
int upstream_start(struct upstream *upstream, const struct upstream_request *request,
		   const struct upstream_handlers *handlers, void *ctx, uint64_t *ret_request);
void upstream_cancel(struct upstream *upstream, uint64_t request); /* closes its connection */
/* While paused nothing is read, which slows the server down. */
void upstream_pause(struct upstream *upstream, uint64_t request, bool paused);
/* A piece of a streamed body, copied. False: wait for on_writable; a writer that carries on loses
 * the request beyond LIMIT_SEND_BUFFER_BYTES. */
bool upstream_write(struct upstream *upstream, uint64_t request, const char *bytes, size_t length);
void upstream_write_end(struct upstream *upstream, uint64_t request);
unsigned upstream_count(const struct upstream *upstream);
