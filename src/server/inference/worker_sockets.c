/* worker_sockets: see worker_sockets.h. A prompt is for whom its principal may know: who showed a
 * key answers that key's requests, who showed the install token, or a page of Baton's own,
 * everybody's; a site that may only queue, nobody's. */
#include "server/inference/worker_sockets.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "gateway/gateway.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/session.h"
#include "net/ws.h"
#include "server/access/access_setup.h"
#include "server/endpoint_ops.h"
#include "server/inference/inference.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "server/session/refusal.h"
#include "wire/bridge_decode.h"
#include "wire/session_decode.h"
#include "wire/worker_decode.h"

static struct endpoint *open_endpoint(struct worker_sockets *sockets,
				      const struct request_context *context)
{
	struct endpoint *endpoint =
		endpoint_open(sockets->endpoints, context->request->conn, ENDPOINT_WORKER_GREETING,
			      context->verdict.allow_origin);

	endpoint->session = calloc(1, sizeof(*endpoint->session));
	if (!endpoint->session)
		abort();
	endpoint->session->peer = context->request->peer;
	endpoint->session->pidfd = -1;
	endpoint->session->rights = context->verdict.rights;
	endpoint->session->paired = context->verdict.paired;
	endpoint->session->hello_due = mono_after(loop_now(), LIMIT_HELLO_TIME_MS);
	endpoint->route = context->verdict.match.route->id;
	access_principal(&context->verdict.who, endpoint->session->principal);
	return endpoint;
}

/* Whose requests it is asked; NULL: everybody's. */
static const char *asker_of(const struct endpoint *endpoint)
{
	const char *principal = endpoint->session->principal;

	return strncmp(principal, "key:", 4) ? NULL : principal;
}

/* The predecessor's: nothing is said to it before it is asked. */
static void take_bridge(struct worker_sockets *sockets, struct endpoint *endpoint,
			const char *model)
{
	uint64_t conn = endpoint->conn;
	bool embeds = endpoint->route == ROUTE_WS_EMBED;

	endpoint_turn(sockets->endpoints, endpoint, ENDPOINT_WORKER);
	int err =
		inference_open_bridge(sockets->inference, conn, asker_of(endpoint), embeds, model);
	if (err)
		session_turn_away(sockets->endpoints, conn, -err, NULL, CLOSE_TOO_MANY);
}

void worker_sockets_open(struct worker_sockets *sockets, const struct request_context *context)
{
	const struct http_request *request = context->request;

	if (!request->websocket) {
		respond_error(context, ERR_BAD_REQUEST,
			      "this route takes a WebSocket (RFC 6455, version 13)");
		return;
	}
	if (http_accept_websocket(sockets->endpoints->net, request->conn))
		return;

	struct endpoint *endpoint = open_endpoint(sockets, context);
	if (sockets->state->draining)
		session_turn_away(sockets->endpoints, request->conn, ERR_DRAINING, NULL,
				  CLOSE_DRAINING);
	else if (endpoint->route != ROUTE_WORKERS && endpoint->session->rights >= ACCESS_TOKEN &&
		 !endpoint->session->paired) /* a program that showed its token in a header */
		take_bridge(sockets, endpoint, NULL);
}

/* 0, or why it is turned away. What its hello shows counts before what its request showed. */
static int judge_hello(struct worker_sockets *sockets, const struct endpoint *endpoint,
		       const char *token)
{
	struct endpoint_session *session = endpoint->session;
	struct access_setup *access = sockets->access;
	struct access_who who = {.is_unix = session->peer.is_unix,
				 .uid = session->peer.uid,
				 .origin = endpoint->origin};
	enum access_right rights = session->rights;

	if (token) {
		rights = access_token_rights(&access->policy, token, &who);
		access_principal(&who, session->principal);
	}
	if (session->paired || rights == ACCESS_QUEUE)
		return ERR_FORBIDDEN;
	if (rights == ACCESS_NONE)
		return access_throttle(session->peer.is_unix ? &access->unix_throttle
							     : &access->tcp_throttle,
				       loop_now());
	return 0;
}

static void take_hello(struct worker_sockets *sockets, struct endpoint *endpoint,
		       const struct worker_message *hello)
{
	struct endpoints *endpoints = sockets->endpoints;
	uint64_t conn = endpoint->conn;
	int err = judge_hello(sockets, endpoint, hello->token);

	if (err) {
		session_turn_away(endpoints, conn, err, NULL, CLOSE_TOKEN);
		return;
	}
	endpoint_turn(endpoints, endpoint, ENDPOINT_WORKER);
	err = gateway_worker_open(sockets->inference->gateway, conn, asker_of(endpoint), hello);
	if (err)
		session_turn_away(endpoints, conn, -err, NULL, CLOSE_TOO_MANY);
}

static void on_bridge_hello(struct worker_sockets *sockets, struct endpoint *endpoint,
			    const char *text, size_t length)
{
	struct bridge_hello hello;
	const char *why = NULL;
	int err = -bridge_decode_hello(text, length, &hello);

	if (err)
		why = hello.parsed.detail;
	else
		err = judge_hello(sockets, endpoint, hello.token);
	if (err)
		session_turn_away(sockets->endpoints, endpoint->conn, err, why, CLOSE_TOKEN);
	else
		take_bridge(sockets, endpoint, hello.model);
	bridge_hello_finish(&hello);
}

static void on_first_message(void *ctx, struct endpoint *endpoint, const char *text, size_t length)
{
	struct worker_sockets *sockets = ctx;
	struct worker_message message;

	if (endpoint->route != ROUTE_WORKERS) {
		on_bridge_hello(sockets, endpoint, text, length);
		return;
	}
	int rc = worker_decode(text, length, &message);

	if (rc == 0 && message.said == WORKER_HELLO)
		take_hello(sockets, endpoint, &message);
	else
		session_turn_away(sockets->endpoints, endpoint->conn, rc ? -rc : ERR_UNAUTHORIZED,
				  rc ? message.parsed.detail : "hello comes first",
				  rc == -ERR_VERSION ? CLOSE_VERSION : CLOSE_TOKEN);
	worker_message_finish(&message);
}

static void on_message(void *ctx, struct endpoint *endpoint, const char *text, size_t length)
{
	const struct worker_sockets *sockets = ctx;

	gateway_worker_said(sockets->inference->gateway, endpoint->conn, text, length);
}

static void on_gone(void *ctx, struct endpoint *endpoint)
{
	const struct worker_sockets *sockets = ctx;

	gateway_worker_gone(sockets->inference->gateway, endpoint->conn);
}

static void close_draining(void *ctx, struct endpoint *endpoint)
{
	const struct worker_sockets *sockets = ctx;

	net_session_close(sockets->endpoints->net, endpoint->conn, CLOSE_DRAINING,
			  err_name(ERR_DRAINING));
}

static void shut_out_greeting(void *ctx, struct endpoint *endpoint)
{
	const struct worker_sockets *sockets = ctx;

	session_turn_away(sockets->endpoints, endpoint->conn, ERR_UNAUTHORIZED, NULL, CLOSE_TOKEN);
}

/* At once: it is sent no prompt while it closes. */
static void shut_out(void *ctx, struct endpoint *endpoint)
{
	on_gone(ctx, endpoint);
	shut_out_greeting(ctx, endpoint);
}

void worker_sockets_begin(struct worker_sockets *sockets)
{
	static const struct endpoint_ops greeting_ops = {.message = on_first_message,
							 .drain = close_draining,
							 .shut_out = shut_out_greeting};
	static const struct endpoint_ops worker_ops = {.message = on_message,
						       .gone = on_gone,
						       .drain = close_draining,
						       .shut_out = shut_out};

	endpoints_serve(sockets->endpoints, ENDPOINT_WORKER_GREETING, &greeting_ops, sockets);
	endpoints_serve(sockets->endpoints, ENDPOINT_WORKER, &worker_ops, sockets);
}

struct mono_ms worker_sockets_step(struct worker_sockets *sockets, struct mono_ms now)
{
	list_each (it, next, &sockets->endpoints->kinds[ENDPOINT_WORKER_GREETING]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (!mono_due(endpoint->session->hello_due, now))
			return endpoint->session->hello_due; /* the oldest is first */
		session_turn_away(
			sockets->endpoints, endpoint->conn, ERR_UNAUTHORIZED,
			endpoint->route == ROUTE_WORKERS
				? "no hello in time"
				: "its first message must be {\"token\": ..}, see docs/migrate.md",
			CLOSE_TOKEN);
	}
	return MONO_NEVER;
}
