/* upstream_raw: connections to servers that carry another protocol than HTTP. libcurl makes them
 * (names, TLS) and hands bytes over; the events of their sockets are ours. */
#include <event2/event.h>

#include "base/err.h"
#include "net/loop.h"
#include "net/upstream_impl.h"

enum { READ_BYTES = 16 * 1024, READS_PER_TURN = 4 };

/* 1: there may be more; 0: not now; -1: it ended, and the transfer is gone. */
static int read_once(struct transfer *transfer)
{
	char bytes[READ_BYTES];
	size_t length = 0;
	CURLcode code = curl_easy_recv(transfer->easy, bytes, sizeof(bytes), &length);

	if (code == CURLE_AGAIN)
		return 0;
	if (code != CURLE_OK || length == 0) {
		transfer_end(transfer, code == CURLE_OK ? 0 : ERR_UPSTREAM_BROKEN,
			     code == CURLE_OK ? "" : curl_easy_strerror(code));
		return -1;
	}

	transfer->handlers->on_body(transfer->ctx, transfer->id, bytes, length);
	return transfer->cancelled || transfer->err || transfer->paused ? 0 : 1;
}

/* What TLS has read ahead makes no event, so it is read until there is none left. */
static void on_readable(evutil_socket_t fd, short events, void *ctx)
{
	struct transfer *transfer = ctx;
	int more = 1;
	(void)fd, (void)events;

	loop_touch(transfer->upstream->loop);
	if (transfer->cancelled || transfer->err || transfer->paused) {
		(void)event_del(&transfer->raw_read);
		return;
	}
	for (int i = 0; i < READS_PER_TURN && more == 1; i++)
		more = read_once(transfer);
	if (more == 1)
		event_active(&transfer->raw_read, EV_READ, 0);
}

/* False: it ended, and the transfer is gone. */
static bool send_all(struct transfer *transfer)
{
	while (transfer->body.length > 0) {
		size_t sent = 0;
		CURLcode code = curl_easy_send(transfer->easy, buf_data(&transfer->body),
					       transfer->body.length, &sent);
		if (code == CURLE_AGAIN) {
			(void)event_add(&transfer->raw_write, NULL);
			return true;
		}
		if (code != CURLE_OK) {
			transfer_end(transfer, ERR_UPSTREAM_BROKEN, curl_easy_strerror(code));
			return false;
		}
		buf_consume(&transfer->body, sent);
	}

	(void)event_del(&transfer->raw_write);
	if (!transfer->body_ended)
		return true;
	transfer_end(transfer, 0, "");
	return false;
}

static void on_sendable(evutil_socket_t fd, short events, void *ctx)
{
	struct transfer *transfer = ctx;
	(void)fd, (void)events;

	loop_touch(transfer->upstream->loop);
	(void)event_del(&transfer->raw_write);
	transfer_changed(transfer);
}

void transfer_raw_begin(struct transfer *transfer)
{
	struct event_base *base = loop_base(transfer->upstream->loop);
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (curl_easy_getinfo(transfer->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD) {
		transfer_end(transfer, ERR_UPSTREAM_UNREACHABLE, "no connection");
		return;
	}
	transfer->raw_open = true;
	transfer->phase = UPSTREAM_BODY;
	transfer_deadline_begin(transfer);
	(void)event_assign(&transfer->raw_read, base, fd, EV_READ | EV_PERSIST, on_readable,
			   transfer);
	(void)event_assign(&transfer->raw_write, base, fd, EV_WRITE | EV_PERSIST, on_sendable,
			   transfer);
	transfer_changed(transfer);
}

bool transfer_raw_serve(struct transfer *transfer)
{
	if (!transfer->raw_open)
		return true;
	if (!transfer->paused && !event_pending(&transfer->raw_read, EV_READ, NULL)) {
		(void)event_add(&transfer->raw_read, NULL);
		event_active(&transfer->raw_read, EV_READ, 0);
	}
	return send_all(transfer);
}

void transfer_raw_end(struct transfer *transfer)
{
	if (!transfer->raw_open)
		return;
	transfer->raw_open = false;
	(void)event_del(&transfer->raw_read);
	(void)event_del(&transfer->raw_write);
}
