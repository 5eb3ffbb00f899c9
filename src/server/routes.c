/* routes: checks each request with wire's access_check and calls its route's handler, which
 * wire/route_table.h names. Counts wrong tokens. */
#include "server/routes.h"

#include <stdio.h>
#include <string.h>

#include "net/http_reply.h"
#include "net/loop.h"
#include "server/endpoint_ops.h"
#include "server/server.h"

typedef void route_handler(struct server *server, const struct request_context *context);

static route_handler *const handlers[ROUTE_COUNT] = {
#define ROUTE_HANDLER(id, method, path, rights, flags, handler, about) [id] = (handler),
	ROUTE_TABLE(ROUTE_HANDLER)
#undef ROUTE_HANDLER
};

void routes_json(struct server *server, const struct request_context *context, int status,
		 const struct text *body)
{
	const struct http_answer answer = {.status = status, .content_type = "application/json"};
	respond_text(server->endpoints.net, context->request->conn, context->verdict.allow_origin,
		     &answer, body);
}

static void answer_preflight(struct server *server, const struct request_context *context)
{
	struct access_header cors[ACCESS_HEADERS_MAX];
	struct http_header headers[ACCESS_HEADERS_MAX];
	size_t count = access_headers(&context->verdict, cors);
	for (size_t i = 0; i < count; i++)
		headers[i] = (struct http_header){cors[i].name, cors[i].value};
	http_reply(server->endpoints.net, context->request->conn, 204, headers, count, "", 0);
}

/* Wrong tokens are counted: past the rate they are told 429 and not logged, so that a flood of them
 * fills no log. */
static int refusal_of(struct server *server, const struct request_context *context)
{
	struct access_setup *policy = &server->access;
	int err = context->verdict.err;
	if (!context->verdict.bad_token || err != ERR_UNAUTHORIZED)
		return err;
	err = access_throttle(context->request->peer.is_unix ? &policy->unix_throttle
							     : &policy->tcp_throttle,
			      loop_now());
	if (err != ERR_RATE_LIMITED)
		log_event(&server->log_ring.log, LOG_WARN, "client bug: wrong token",
			  log_str("path", context->request->path));
	return err;
}

static void dispatch_request(struct server *server, const struct request_context *context)
{
	const struct access_verdict *verdict = &context->verdict;
	const struct route *route = verdict->match.route;
	if (verdict->err)
		respond_error(server->endpoints.net, context, refusal_of(server, context), NULL);
	else if (verdict->preflight)
		answer_preflight(server, context);
	else if (context->request->reserved && !(route->flags & ROUTE_RESERVED))
		respond_error(server->endpoints.net, context, ERR_TOO_MANY_CONNECTIONS, NULL);
	else
		handlers[route->id](server, context);
}

void route_session(struct server *server, const struct request_context *context)
{
	greeting_open_websocket(&server->sessions.greeting, context);
}

void routes_on_request(void *ctx, const struct http_request *request)
{
	struct server *server = ctx;
	struct request_context context = {.request = request};
	const struct request_facts facts = {
		.method = request->method,
		.path = request->path,
		.host = request->host,
		.origin = request->origin,
		.authorization = request->authorization,
		.accept = request->accept,
		.content_type = request->content_type,
		.cookie = request->cookie,
		.sec_fetch_site = request->sec_fetch_site,
		.body_length = request->body_length,
		.is_unix = request->peer.is_unix,
		.uid = request->peer.uid,
	};

	access_check(&server->access.policy, &facts, &context.verdict);
	server->state.requests++;
	dispatch_request(server, &context);
}

void routes_on_gone(void *ctx, uint64_t conn)
{
	struct server *server = ctx;
	endpoints_gone(&server->endpoints, conn);
}

void routes_on_delivered(void *ctx, uint64_t conn)
{
	struct server *server = ctx;
	endpoints_delivered(&server->endpoints, conn);
}

void routes_on_protocol_error(void *ctx, uint64_t conn, int err, const char *what)
{
	struct server *server = ctx;
	log_event(&server->log_ring.log, LOG_WARN, "client bug", log_int("conn", (int64_t)conn),
		  log_str("error", err_name(err)), log_str("what", what));
}
