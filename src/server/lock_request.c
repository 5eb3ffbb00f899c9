/* lock_request: see lock_request.h. Decides nothing about leases. */
#include "server/lock_request.h"

#include <stdlib.h>

#include "server/endpoint_ops.h"
#include "server/message_context.h"
#include "server/respond.h"
#include "server/server.h"

void lock_request_answer(void *ctx, struct endpoint *endpoint, const struct send_effect *send)
{
	struct server *server = ctx;
	cleanup_text struct text body = {0};
	struct message_context context;
	struct http_answer answer;
	struct net *net = server->endpoints.net;
	uint64_t conn = endpoint->conn;

	message_context_fill(&context, &server->broker, &server->active.settings.core,
			     server->state.epoch, send);
	if (!http_encode_effect(&body, endpoint->route, send, &context.wire, &answer))
		return;

	/* A grant that does not arrive must not be held: the endpoint stays until it is known. */
	char *origin = endpoint->origin;
	endpoint->origin = NULL;
	if (send->msg == SEND_GRANTED)
		endpoint_turn(&server->endpoints, endpoint, ENDPOINT_ANSWERED);
	else
		endpoint_shut(&server->endpoints, endpoint);

	respond_text(net, conn, origin, &answer, &body);
	free(origin);
}

void lock_request_drain(void *ctx, struct endpoint *endpoint)
{
	struct server *server = ctx;
	cleanup_text struct text body = {0};
	struct http_answer answer;

	http_encode_error(&body, ERR_DRAINING, NULL, &answer);
	respond_text(server->endpoints.net, endpoint->conn, endpoint->origin, &answer, &body);
	endpoint_shut(&server->endpoints, endpoint);
}

void lock_request_closed(struct server *server, const struct endpoint *endpoint, bool undelivered)
{
	if (endpoint->route != ROUTE_LOCK || server->state.draining)
		return;
	event_queue_event(&server->broker.queue, EVENT_CONN_CLOSED,
			  party_of(PARTY_EXCHANGE, endpoint->conn))
		->closed.undelivered = undelivered;
}

static void on_gone(void *ctx, struct endpoint *endpoint)
{
	lock_request_closed(ctx, endpoint, true);
}

static void on_delivered(void *ctx, struct endpoint *endpoint)
{
	struct server *server = ctx;
	endpoint_shut(&server->endpoints, endpoint);
}

const struct endpoint_ops lock_request_ops = {
	.send = lock_request_answer,
	.gone = on_gone,
	.drain = lock_request_drain,
};

const struct endpoint_ops lock_answered_ops = {
	.gone = on_gone,
	.delivered = on_delivered,
};
