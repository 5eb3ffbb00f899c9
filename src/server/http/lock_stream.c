/* lock_stream: a lock over Server-Sent Events: each effect is an event of it, the last one ends it.
 * What comes before the first event is answered as a lock without a stream is. */
#include "base/err.h"
#include "base/text.h"
#include "net/http_reply.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/http/exchanges.h"
#include "server/http/lock_request.h"
#include "server/message_context.h"
#include "server/monitor/event_feed.h"
#include "server/monitor/position_updates.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "wire/http_decode.h"
#include "wire/http_encode.h"

static void send_event(void *ctx, struct endpoint *endpoint, const struct send_effect *send)
{
	const struct exchanges *exchanges = ctx;
	cleanup_text struct text body = {0};
	struct message_context context;
	struct net *net = exchanges->endpoints->net;
	uint64_t conn = endpoint->conn;
	struct party exchange = party_of(PARTY_EXCHANGE, conn);
	bool last = false;
	enum send_kind msg = send->msg;

	if (!endpoint->begun &&
	    (msg == SEND_DENIED || msg == SEND_TIMEOUT || msg == SEND_RELEASED)) {
		lock_request_answer(exchanges, endpoint, send);
		return;
	}

	message_context_fill(&context, exchanges->broker, exchanges->wire->config,
			     exchanges->state->epoch, send);
	if (!http_encode_stream(&body, send, &context.wire, &last))
		return;

	position_updates_sent(exchanges->position_updates, exchanges->broker->core, exchange, send,
			      message_context_position(&context), exchanges->broker->now);
	if (!endpoint->begun)
		respond_stream(net, conn, endpoint->origin, "text/event-stream");
	endpoint->begun = true;
	http_stream_write(net, conn, body.bytes, body.length);
	if (!last)
		return;

	endpoint_shut(exchanges->endpoints, endpoint);
	event_queue_event(&exchanges->broker->queue, EVENT_CONN_CLOSED, exchange);
	http_stream_end(net, conn);
}

static void on_gone(void *ctx, struct endpoint *endpoint)
{
	lock_request_closed(ctx, endpoint, false);
}

static void end_stream(const struct exchanges *exchanges, struct endpoint *endpoint, int err)
{
	if (endpoint->begun)
		event_stream_end(exchanges->endpoints, endpoint, err);
	else
		lock_request_refuse(exchanges, endpoint, err);
}

static void on_drain(void *ctx, struct endpoint *endpoint)
{
	end_stream(ctx, endpoint, ERR_DRAINING);
}

static void shut_out(void *ctx, struct endpoint *endpoint)
{
	lock_request_closed(ctx, endpoint, false);
	end_stream(ctx, endpoint, ERR_UNAUTHORIZED);
}

static void write_comment(void *ctx, struct endpoint *endpoint, const struct text *comment)
{
	const struct exchanges *exchanges = ctx;
	if (endpoint->begun)
		http_stream_write(exchanges->endpoints->net, endpoint->conn, comment->bytes,
				  comment->length);
}

const struct endpoint_ops lock_stream_ops = {
	.send = send_event,
	.gone = on_gone,
	.drain = on_drain,
	.shut_out = shut_out,
	.keepalive = write_comment,
};
