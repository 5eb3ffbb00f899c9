/* lock_request: see lock_request.h. Decides nothing about leases. */
#include "server/http/lock_request.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/http/exchanges.h"
#include "server/message_context.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "wire/http_decode.h"
#include "wire/http_encode.h"

void lock_request_answer(const struct exchanges *exchanges, struct endpoint *endpoint,
			 const struct send_effect *send)
{
	cleanup_text struct text body = {0};
	struct message_context context;
	struct http_answer answer;
	struct net *net = exchanges->endpoints->net;
	uint64_t conn = endpoint->conn;

	message_context_fill(&context, exchanges->broker, exchanges->wire->config,
			     exchanges->state->epoch, send);
	if (!http_encode_effect(&body, endpoint->route, send, &context.wire, &answer))
		return;

	/* A grant that does not arrive must not be held: the endpoint stays until it is known. */
	char *origin = endpoint->origin;
	endpoint->origin = NULL;
	if (send->msg == SEND_GRANTED)
		endpoint_turn(exchanges->endpoints, endpoint, ENDPOINT_ANSWERED);
	else
		endpoint_shut(exchanges->endpoints, endpoint);

	respond_text(net, conn, origin, &answer, &body);
	free(origin);
}

void lock_request_refuse(const struct exchanges *exchanges, struct endpoint *endpoint, int err)
{
	cleanup_text struct text body = {0};
	struct http_answer answer;

	http_encode_error(&body, err, NULL, &answer);
	respond_text(exchanges->endpoints->net, endpoint->conn, endpoint->origin, &answer, &body);
	endpoint_shut(exchanges->endpoints, endpoint);
}

void lock_request_closed(const struct exchanges *exchanges, const struct endpoint *endpoint,
			 bool undelivered)
{
	if (endpoint->route != ROUTE_LOCK || exchanges->state->draining)
		return;
	event_queue_event(&exchanges->broker->queue, EVENT_CONN_CLOSED,
			  party_of(PARTY_EXCHANGE, endpoint->conn))
		->closed.undelivered = undelivered;
}

static void on_gone(void *ctx, struct endpoint *endpoint)
{
	lock_request_closed(ctx, endpoint, true);
}

static void on_delivered(void *ctx, struct endpoint *endpoint)
{
	const struct exchanges *exchanges = ctx;
	endpoint_shut(exchanges->endpoints, endpoint);
}

static void on_effect(void *ctx, struct endpoint *endpoint, const struct send_effect *send)
{
	lock_request_answer(ctx, endpoint, send);
}

static void on_drain(void *ctx, struct endpoint *endpoint)
{
	lock_request_refuse(ctx, endpoint, ERR_DRAINING);
}

/* It waits; what was granted is its holder's until its time is over. */
static void shut_out(void *ctx, struct endpoint *endpoint)
{
	lock_request_closed(ctx, endpoint, true);
	lock_request_refuse(ctx, endpoint, ERR_UNAUTHORIZED);
}

const struct endpoint_ops lock_request_ops = {
	.send = on_effect,
	.gone = on_gone,
	.drain = on_drain,
	.shut_out = shut_out,
};

const struct endpoint_ops lock_answered_ops = {
	.gone = on_gone,
	.delivered = on_delivered,
};
