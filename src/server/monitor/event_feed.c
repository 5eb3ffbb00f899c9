/* event_feed: writes the ring of changes to its readers, each at its own pace. */
#include "server/monitor/event_feed.h"

#include <assert.h>

#include "base/err.h"
#include "base/text.h"
#include "net/http_reply.h"
#include "server/endpoint_ops.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/monitor.h"
#include "wire/event_encode.h"
#include "wire/http_encode.h"
#include "wire/session_encode.h"
#include "wire/sight.h"

enum { FEED_PENDING_BYTES = 256 * 1024, FEED_ROWS_PER_TURN = 256 };

/* The next changes after endpoint->sent, as far as the reader takes them. True: there are more. */
static bool write_changes(const struct monitor *monitor, struct endpoint *endpoint)
{
	cleanup_text struct text body = {0};
	cleanup_text struct text line = {0};
	const struct event_ring *ring = monitor->event_ring;
	const struct sight sight = sight_of(endpoint->principal);
	struct net *net = monitor->endpoints->net;
	uint64_t oldest = event_ring_oldest(ring);
	bool gap = endpoint->sent + 1 < oldest; /* it must look at the status instead */

	if (!gap && endpoint->sent + 1 >= ring->next)
		return false;
	if (http_stream_pending(net, endpoint->conn) > FEED_PENDING_BYTES)
		return true;
	if (gap) {
		http_encode_sse(&body, 0, "reset", "{\"type\":\"reset\"}");
		endpoint->sent = oldest - 1;
	}

	for (int n = 0; n < FEED_ROWS_PER_TURN && endpoint->sent + 1 < ring->next; n++) {
		const struct event_ring_row *change = event_ring_at(ring, endpoint->sent + 1);
		assert(change);
		text_clear(&line);
		event_encode(&line, &change->trace, change->id, change->at, monitor->config,
			     &sight);
		http_encode_sse(&body, change->id, trace_name(change->trace.what), line.bytes);
		endpoint->sent = change->id;
	}

	http_stream_write(net, endpoint->conn, body.bytes, body.length);
	return endpoint->sent + 1 < ring->next;
}

bool event_feeds_step(const struct monitor *monitor)
{
	bool more = false;
	list_each (it, next, &monitor->endpoints->kinds[ENDPOINT_FEED])
		more |= write_changes(monitor, container_of(it, struct endpoint, link));
	return more;
}

void event_stream_end(struct endpoints *endpoints, struct endpoint *endpoint, int err)
{
	cleanup_text struct text body = {0};
	cleanup_text struct text line = {0};
	struct net *net = endpoints->net;

	session_encode_denied(&body, 0, err, NULL);
	http_encode_sse(&line, 0, "denied", body.bytes);
	http_stream_write(net, endpoint->conn, line.bytes, line.length);
	http_stream_end(net, endpoint->conn);
	endpoint_shut(endpoints, endpoint);
}

static void end_feed(void *ctx, struct endpoint *endpoint)
{
	const struct monitor *monitor = ctx;
	event_stream_end(monitor->endpoints, endpoint, ERR_DRAINING);
}

static void shut_out(void *ctx, struct endpoint *endpoint)
{
	const struct monitor *monitor = ctx;
	event_stream_end(monitor->endpoints, endpoint, ERR_UNAUTHORIZED);
}

static void write_comment(void *ctx, struct endpoint *endpoint, const struct text *comment)
{
	const struct monitor *monitor = ctx;
	http_stream_write(monitor->endpoints->net, endpoint->conn, comment->bytes, comment->length);
}

const struct endpoint_ops event_feed_ops = {
	.drain = end_feed,
	.shut_out = shut_out,
	.keepalive = write_comment,
};
