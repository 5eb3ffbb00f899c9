/* exchanges: see exchanges.h. Decides nothing about leases. What an effect does with a waiting
 * exchange is in lock_request.c and lock_stream.c. */
#include "server/http/exchanges.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "core/send.h"
#include "core/view.h"
#include "net/http.h"
#include "server/access/access_setup.h"
#include "server/access/operator_name.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/http/lock_request.h"
#include "server/queued_event.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "wire/http_decode.h"
#include "wire/http_encode.h"

static struct endpoint *park_request(struct exchanges *exchanges,
				     const struct request_context *context, enum endpoint_kind kind)
{
	struct endpoint *endpoint = endpoint_open(exchanges->endpoints, context->request->conn,
						  kind, context->verdict.allow_origin);
	endpoint->route = context->verdict.match.route->id;
	return endpoint;
}

/* A refused body: answered, and the queued dropped. */
static bool refused_body(struct exchanges *exchanges, const struct request_context *context,
			 struct queued_event *queued, int rc)
{
	if (rc == 0)
		return false;
	respond_error(context, -rc, queued->in.parsed.detail);
	event_queue_drop(&exchanges->broker->queue, queued);
	return true;
}

static void push_event(struct exchanges *exchanges, const struct request_context *context,
		       struct queued_event *queued)
{
	queued->in.event.from = party_of(PARTY_EXCHANGE, context->request->conn);
	event_queue_push(&exchanges->broker->queue, queued);
}

static bool wants_stream(const struct http_request *request)
{
	return request->accept && strstr(request->accept, "text/event-stream");
}

void route_lock(struct exchanges *exchanges, const struct request_context *context)
{
	const struct http_request *request = context->request;
	bool stream = wants_stream(request);

	if (exchanges->state->draining) {
		respond_error(context, ERR_DRAINING, NULL);
		return;
	}

	struct queued_event *queued = event_queue_new(&exchanges->broker->queue);
	struct event *event = &queued->in.event;
	enum binding binding = stream ? BIND_STREAM : BIND_HTTP;
	struct wire_context wire = *exchanges->wire;
	access_principal(&context->verdict.who, queued->who);
	wire.principal = queued->who;
	int rc = http_decode_lock(request->body, request->body_length, &wire, binding,
				  &queued->in.parsed, event);

	if (refused_body(exchanges, context, queued, rc))
		return;
	event->acquire.browser = context->verdict.browser;
	event->acquire.principal = queued->who;
	struct endpoint *endpoint =
		park_request(exchanges, context, stream ? ENDPOINT_STREAM : ENDPOINT_REQUEST);
	endpoint_belongs(endpoint, queued->who);
	if (request->origin && !endpoint_count_browser(exchanges->endpoints, endpoint,
						       request->origin, request->user_agent)) {
		endpoint_shut(exchanges->endpoints, endpoint);
		event_queue_drop(&exchanges->broker->queue, queued);
		respond_error(context, ERR_TOO_MANY_WAITING, NULL);
		return;
	}

	push_event(exchanges, context, queued);
}

void route_unlock(struct exchanges *exchanges, const struct request_context *context)
{
	const struct http_request *request = context->request;
	struct queued_event *queued = event_queue_new(&exchanges->broker->queue);
	struct event *event = &queued->in.event;
	int rc = http_decode_unlock(request->body, request->body_length, &queued->in.parsed, event);
	if (refused_body(exchanges, context, queued, rc))
		return;
	if (!event->release.token && !exchanges->access->bridge) {
		snprintf(queued->in.parsed.detail, sizeof(queued->in.parsed.detail),
			 "field `token`: send the one that the lock was answered with");
		(void)refused_body(exchanges, context, queued, -ERR_STALE);
		return;
	}
	park_request(exchanges, context, ENDPOINT_REQUEST);
	push_event(exchanges, context, queued);
}

void route_renew(struct exchanges *exchanges, const struct request_context *context)
{
	const struct http_request *request = context->request;
	struct queued_event *queued = event_queue_new(&exchanges->broker->queue);
	int rc = http_decode_renew(request->body, request->body_length, exchanges->wire,
				   &queued->in.parsed, &queued->in.event);
	if (refused_body(exchanges, context, queued, rc))
		return;
	park_request(exchanges, context, ENDPOINT_REQUEST);
	push_event(exchanges, context, queued);
}

/* 0: it is not there, or its connection is gone. */
static uint64_t conn_of_secret(const struct core *core, const struct token *secret)
{
	const struct session_record *session = core_session_of_secret(core, secret);
	struct mono_ms seen;
	uint64_t conn = 0;

	return session && core_session_after(core, session->id - 1, &session, &conn, &seen) ? conn
											    : 0;
}

/* As if the session had said it: in Firefox the WebSocket of a page's worker waits for the page's
 * thread, and its requests do not. The secret is all that is shown, and a sign of life all that it
 * is good for. */
void route_session_alive(struct exchanges *exchanges, const struct request_context *context)
{
	const struct http_request *request = context->request;
	const struct broker *broker = exchanges->broker;
	struct queued_event *queued = event_queue_new(&exchanges->broker->queue);
	struct send_effect send = {.msg = SEND_RENEWED,
				   .expires_ms = exchanges->wire->config->session_ttl_ms};
	cleanup_text struct text body = {0};
	struct http_answer answer;
	uint64_t conn;

	int rc = http_decode_alive(request->body, request->body_length, &queued->in.parsed,
				   &queued->in.event);
	if (refused_body(exchanges, context, queued, rc))
		return;

	conn = conn_of_secret(broker->core, &queued->in.parsed.token);
	if (conn == 0) {
		(void)refused_body(exchanges, context, queued, -ERR_STALE);
		return;
	}

	queued->in.event.from = party_of(PARTY_SESSION, conn);
	event_queue_push(&exchanges->broker->queue, queued);
	(void)http_encode_effect(&body, ROUTE_SESSION_ALIVE, &send, NULL, &answer);
	respond_json(context, answer.status, &body);
}

static enum admin_act act_of(enum route_id route)
{
	static const enum admin_act acts[ROUTE_COUNT] = {
		[ROUTE_RESET] = ADMIN_RESET,
		[ROUTE_FORCE_RELEASE_ALL] = ADMIN_FORCE_RELEASE_ALL,
		[ROUTE_LEASE_YIELD] = ADMIN_YIELD,
		[ROUTE_LEASE_REVOKE] = ADMIN_REVOKE,
		[ROUTE_CLAIM_CANCEL] = ADMIN_CANCEL,
		[ROUTE_PAUSE] = ADMIN_PAUSE,
		[ROUTE_RESUME] = ADMIN_RESUME,
	};
	return acts[route];
}

void route_admin(struct exchanges *exchanges, const struct request_context *context)
{
	const struct http_request *request = context->request;
	const struct route_match *match = &context->verdict.match;
	struct queued_event *queued = event_queue_new(&exchanges->broker->queue);
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	access_principal(&context->verdict.who, principal);
	operator_name(&request->peer, principal, queued->who, sizeof(queued->who));
	int rc =
		http_decode_admin(request->body, request->body_length, act_of(match->route->id),
				  match->lease, queued->who, &queued->in.parsed, &queued->in.event);
	if (refused_body(exchanges, context, queued, rc))
		return;
	park_request(exchanges, context, ENDPOINT_REQUEST);
	push_event(exchanges, context, queued);
}

void exchanges_begin(struct exchanges *exchanges)
{
	struct endpoints *endpoints = exchanges->endpoints;
	endpoints_serve(endpoints, ENDPOINT_REQUEST, &lock_request_ops, exchanges);
	endpoints_serve(endpoints, ENDPOINT_ANSWERED, &lock_answered_ops, exchanges);
	endpoints_serve(endpoints, ENDPOINT_STREAM, &lock_stream_ops, exchanges);
}
