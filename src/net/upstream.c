/* upstream: the table of requests, the calls of their owner, and how they end. The interface to
 * libcurl is in upstream_curl.c. */
#include "net/upstream.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "net/loop.h"
#include "net/upstream_impl.h"

enum { SLOT_BITS = 16, IDLE_CONNECTIONS_MAX = 16 };

static struct transfer *find_transfer(const struct upstream *upstream, uint64_t id)
{
	uint64_t slot = id & ((1u << SLOT_BITS) - 1);
	struct transfer *transfer = slot < upstream->slot_count ? upstream->slots[slot] : NULL;
	return transfer && transfer->id == id && !transfer->cancelled ? transfer : NULL;
}

/* It may be somebody's prompt. */
static void wipe_body(struct transfer *transfer)
{
	if (transfer->body.bytes)
		explicit_bzero(transfer->body.bytes, transfer->body.capacity);
	buf_finish(&transfer->body);
}

static void transfer_free(struct transfer *transfer)
{
	struct upstream *upstream = transfer->upstream;
	transfer_raw_end(transfer);
	if (transfer->added)
		(void)curl_multi_remove_handle(upstream->multi, transfer->easy);
	curl_easy_cleanup(transfer->easy); /* takes NULL */
	curl_slist_free_all(transfer->fields);

	(void)event_del(&transfer->deadline);
	(void)event_del(&transfer->end);
	list_remove(&transfer->changed);
	buf_finish(&transfer->head);
	wipe_body(transfer);

	upstream->slots[transfer->id & ((1u << SLOT_BITS) - 1)] = NULL;
	upstream->count--;
	free(transfer);
}

/* Closes the connection first, so that the owner finds everything already released. */
void transfer_end(struct transfer *transfer, int err, const char *what)
{
	const struct upstream_end end = {
		.err = err, .phase = transfer->phase, .what = what, .nobody = transfer->nobody};
	transfer_raw_end(transfer);
	if (transfer->added)
		(void)curl_multi_remove_handle(transfer->upstream->multi, transfer->easy);
	transfer->added = false;

	bool cancelled = transfer->cancelled;
	transfer->cancelled = true; /* its number is no longer valid */
	if (!cancelled)
		transfer->handlers->on_end(transfer->ctx, transfer->id, &end);

	transfer_free(transfer);
}

static void end_failed(struct transfer *transfer, CURLcode code)
{
	const char *what = NULL;
	int err = transfer_err(transfer, code, &what);
	long os_error = 0;

	(void)curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_error);
	transfer->nobody = err == ERR_UPSTREAM_UNREACHABLE && code == CURLE_COULDNT_CONNECT &&
			   (os_error == ECONNREFUSED || os_error == ENOENT);
	transfer_end(transfer, err, what);
}

static void end_answered(struct transfer *transfer)
{
	upstream_socket_acknowledge(transfer);
	transfer_end(transfer, 0, "");
}

static void begin_transfer(struct transfer *transfer)
{
	if (curl_multi_add_handle(transfer->upstream->multi, transfer->easy) != CURLM_OK) {
		transfer_end(transfer, ERR_NO_MEMORY, "out of memory");
		return;
	}
	transfer->added = transfer->upstream->begun = true;
	transfer_deadline_begin(transfer);
}

/* Nothing of it was sent on the connection that it had, or nobody read it there. */
static void begin_elsewhere(struct transfer *transfer)
{
	(void)curl_multi_remove_handle(transfer->upstream->multi, transfer->easy);
	(void)curl_easy_setopt(transfer->easy, CURLOPT_FRESH_CONNECT, 1L);
	transfer->added = transfer->elsewhere = false;
	transfer->fresh = true;
	transfer->phase = UPSTREAM_CONNECT;
	transfer->curl_words[0] = '\0';
	begin_transfer(transfer);
}

void upstream_reap(struct upstream *upstream)
{
	CURLMsg *message;
	int left = 0;
	while ((message = curl_multi_info_read(upstream->multi, &left))) {
		struct transfer *transfer = NULL;
		CURLcode code = message->data.result;

		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		if (transfer->err)
			transfer_end(transfer, transfer->err, transfer->what);
		else if (transfer->elsewhere && !transfer->cancelled)
			begin_elsewhere(transfer);
		else if (code == CURLE_OK && transfer->raw)
			transfer_raw_begin(transfer);
		else if (code == CURLE_OK && transfer->phase != UPSTREAM_BODY)
			transfer_end(transfer, ERR_UPSTREAM_BROKEN, "no answer");
		else if (code == CURLE_OK)
			end_answered(transfer);
		else
			end_failed(transfer, code);
	}
}

/* libcurl may deliver what it held back before this returns. */
static void unpause_transfer(struct transfer *transfer)
{
	bool can_send = transfer->starved && (transfer->body.length > 0 || transfer->body_ended);
	bool can_read = transfer->halted && !transfer->paused;
	if (!can_send && !can_read)
		return;

	transfer->starved &= !can_send;
	transfer->halted &= !can_read;
	transfer_deadline_begin(transfer);
	(void)curl_easy_pause(transfer->easy, (transfer->halted ? CURLPAUSE_RECV : 0) |
						      (transfer->starved ? CURLPAUSE_SEND : 0));
}

static void serve_transfer(struct transfer *transfer)
{
	if (transfer->cancelled || transfer->err) {
		transfer_end(transfer, transfer->err, transfer->what);
		return;
	}

	if (!transfer->added) {
		begin_transfer(transfer);
		return;
	}

	if (!transfer->raw)
		unpause_transfer(transfer);
	else if (!transfer_raw_serve(transfer))
		return;
	if (transfer->writer_waits && !transfer->cancelled &&
	    transfer->body.length <= UPSTREAM_LOW_BYTES) {
		transfer->writer_waits = false;
		transfer->handlers->on_writable(transfer->ctx, transfer->id);
	}
}

static void destroy_now(struct upstream *upstream)
{
	(void)curl_multi_cleanup(upstream->multi);
	(void)event_del(&upstream->timer);
	free(upstream->sockets);
	free(upstream->slots);
	free(upstream);
	curl_global_cleanup();
}

/* Changes made meanwhile wait for the next flush, so that an iteration always ends. */
static void flush_changed(void *ctx)
{
	struct upstream *upstream = ctx;
	struct list *last = upstream->changed.prev;
	upstream->flush_deferred = false;

	if (upstream->destroyed) {
		destroy_now(upstream);
		return;
	}

	for (bool more = !list_empty(&upstream->changed);
	     more && !list_empty(&upstream->changed);) {
		struct list *node = upstream->changed.next;
		more = node != last;
		list_remove(node);
		serve_transfer(container_of(node, struct transfer, changed));
	}

	if (upstream->begun)
		upstream_poll_begin(upstream);
	upstream_reap(upstream);
}

void transfer_changed(struct transfer *transfer)
{
	struct upstream *upstream = transfer->upstream;
	if (!list_empty(&transfer->changed))
		return;

	list_append(&upstream->changed, &transfer->changed);
	if (upstream->flush_deferred)
		return;
	upstream->flush_deferred = true;
	loop_defer(upstream->loop, flush_changed, upstream);
}

int upstream_create(struct loop *loop, unsigned requests_max, struct upstream **ret_upstream)
{
	if (requests_max == 0 || requests_max >> SLOT_BITS)
		return -ERR_BAD_FIELD;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ERR_NO_MEMORY;

	struct upstream *upstream = calloc(1, sizeof(*upstream));
	struct transfer **slots = calloc(requests_max, sizeof(*slots));
	CURLM *multi = curl_multi_init();
	if (!upstream || !slots || !multi) {
		(void)curl_multi_cleanup(multi);
		free(slots);
		free(upstream);
		curl_global_cleanup();
		return -ERR_NO_MEMORY;
	}

	*upstream = (struct upstream){
		.loop = loop, .multi = multi, .slots = slots, .slot_count = requests_max};
	list_init(&upstream->changed);
	upstream_poll_init(upstream);
	(void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
	(void)curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	*ret_upstream = upstream;
	return 0;
}

void upstream_destroy(struct upstream *upstream)
{
	if (!upstream)
		return;

	for (unsigned slot = 0; slot < upstream->slot_count; slot++) {
		if (upstream->slots[slot])
			transfer_free(upstream->slots[slot]);
	}

	/* A deferred flush must not find freed memory: let it free the object. */
	upstream->destroyed = true;
	if (!upstream->flush_deferred)
		destroy_now(upstream);
}

static unsigned free_slot(const struct upstream *upstream)
{
	unsigned slot = 0;
	while (slot < upstream->slot_count && upstream->slots[slot])
		slot++;
	return slot;
}

int upstream_start(struct upstream *upstream, const struct upstream_request *request,
		   const struct upstream_handlers *handlers, void *ctx, uint64_t *ret_request)
{
	unsigned slot = free_slot(upstream);
	if (slot == upstream->slot_count)
		return -ERR_TOO_MANY_CONNECTIONS;
	struct transfer *transfer = calloc(1, sizeof(*transfer));
	if (!transfer)
		return -ERR_NO_MEMORY;

	transfer->upstream = upstream;
	transfer->id = ++upstream->sequence << SLOT_BITS | slot;
	transfer->handlers = handlers;
	transfer->ctx = ctx;
	transfer->fd = -1;
	snprintf(transfer->owner, sizeof(transfer->owner), "%s",
		 request->owner ? request->owner : "");
	transfer->connect_time_ms = request->connect_time_ms;
	transfer->first_byte_time_ms = request->first_byte_time_ms;
	transfer->idle_time_ms = request->idle_time_ms;
	list_init(&transfer->changed);
	transfer_deadline_init(transfer, request->total_time_ms);
	upstream->slots[slot] = transfer;
	upstream->count++;

	int rc = transfer_prepare(transfer, request);
	if (rc) {
		transfer_free(transfer);
		return rc;
	}
	transfer_changed(transfer);
	*ret_request = transfer->id;
	return 0;
}

void upstream_cancel(struct upstream *upstream, uint64_t request)
{
	struct transfer *transfer = find_transfer(upstream, request);
	if (!transfer)
		return;
	transfer->cancelled = true;
	transfer_changed(transfer);
}

void upstream_pause(struct upstream *upstream, uint64_t request, bool paused)
{
	struct transfer *transfer = find_transfer(upstream, request);
	if (!transfer || transfer->paused == paused)
		return;

	transfer->paused = paused;
	if (!paused && !transfer->halted && transfer->added)
		transfer_deadline_begin(transfer); /* libcurl has not paused yet */
	if (!paused)
		transfer_changed(transfer);
}

void transfer_fail(struct transfer *transfer, int err, const char *what)
{
	if (transfer->err)
		return;
	transfer->err = err;
	transfer->what = what;
	transfer_changed(transfer);
}

bool upstream_write(struct upstream *upstream, uint64_t request, const char *bytes, size_t length)
{
	struct transfer *transfer = find_transfer(upstream, request);
	if (!transfer || !transfer->streamed || transfer->body_ended || transfer->err)
		return false;
	if (transfer->body_left >= 0 && length > (uint64_t)transfer->body_left) {
		transfer_fail(transfer, ERR_BAD_REQUEST, "the body is longer than announced");
		return false;
	}
	if (transfer->body.length + length > LIMIT_SEND_BUFFER_BYTES) {
		transfer_fail(transfer, ERR_UPSTREAM_SLOW, "the server does not take the body");
		return false;
	}
	if (buf_append(&transfer->body, bytes, length) != 0) {
		transfer_fail(transfer, ERR_NO_MEMORY, "out of memory");
		return false;
	}

	if (transfer->body_left >= 0)
		transfer->body_left -= (int64_t)length;
	transfer->writer_waits = transfer->body.length > UPSTREAM_AHEAD_BYTES;
	if (transfer->starved || transfer->raw)
		transfer_changed(transfer);
	return !transfer->writer_waits;
}

void upstream_write_end(struct upstream *upstream, uint64_t request)
{
	struct transfer *transfer = find_transfer(upstream, request);
	if (!transfer || !transfer->streamed || transfer->body_ended)
		return;
	if (transfer->body_left > 0) {
		transfer_fail(transfer, ERR_BAD_REQUEST, "the body is shorter than announced");
		return;
	}

	transfer->body_ended = true;
	transfer->writer_waits = false;
	if (transfer->starved || transfer->raw)
		transfer_changed(transfer);
}

unsigned upstream_count(const struct upstream *upstream)
{
	return upstream->count;
}
