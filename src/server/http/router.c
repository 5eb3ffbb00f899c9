/* router: checks each request with wire's access_check and calls its route's handler, which
 * wire/route_table.h names. Counts wrong tokens. */
#include "server/http/router.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "net/loop.h"
#include "server/access/access_setup.h"
#include "server/http/config_route.h"
#include "server/http/exchanges.h"
#include "server/http/history.h"
#include "server/http/key_routes.h"
#include "server/http/monitoring_routes.h"
#include "server/http/page_routes.h"
#include "server/http/site_routes.h"
#include "server/inference/inference.h"
#include "server/inference/worker_sockets.h"
#include "server/pages/pages.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "server/session/greeting.h"

static void call_handler(const struct route_parts *parts, enum route_id id,
			 const struct request_context *context)
{
	switch (id) {
#define ROUTE_CASE(id, method, path, rights, flags, part, handler, about)                          \
	case id:                                                                                   \
		handler(parts->part, context);                                                     \
		break;
		ROUTE_TABLE(ROUTE_CASE)
#undef ROUTE_CASE
	case ROUTE_COUNT:
		break;
	}
}

static void answer_preflight(const struct request_context *context)
{
	struct access_header cors[ACCESS_HEADERS_MAX];
	struct http_header headers[ACCESS_HEADERS_MAX];
	size_t count = access_headers(&context->verdict, cors);
	for (size_t i = 0; i < count; i++)
		headers[i] = (struct http_header){cors[i].name, cors[i].value};
	http_reply(context->net, context->request->conn, 204, headers, count, "", 0);
}

/* Wrong tokens are counted: past the rate they are told 429 and not logged, so that a flood of them
 * fills no log. */
static int refusal_of(const struct router *router, const struct request_context *context)
{
	struct access_setup *policy = router->access;
	int err = context->verdict.err;
	if (!context->verdict.bad_token || err != ERR_UNAUTHORIZED)
		return err;
	err = access_throttle(context->request->peer.is_unix ? &policy->unix_throttle
							     : &policy->tcp_throttle,
			      loop_now());
	if (err != ERR_RATE_LIMITED)
		log_event(router->log, LOG_WARN, "client bug: wrong token",
			  log_str("path", context->request->path));
	return err;
}

/* By a person, into a browser: only an address that is nobody's, and that may be asked for. */
static bool is_typed_wrong(const struct request_context *context)
{
	const struct access_verdict *verdict = &context->verdict;

	return !verdict->match.route &&
	       (verdict->err == ERR_NOT_FOUND || verdict->err == ERR_UNAUTHORIZED) &&
	       route_wants_html(context->request->method, context->request->accept);
}

static void dispatch_request(const struct router *router, const struct request_context *context)
{
	const struct access_verdict *verdict = &context->verdict;
	const struct route *route = verdict->match.route;
	if (is_typed_wrong(context) && pages_lead(router->parts.pages, context))
		return;
	if (verdict->err)
		respond_error(context, refusal_of(router, context), NULL);
	else if (verdict->preflight)
		answer_preflight(context);
	else if (context->request->reserved && !(route->flags & ROUTE_RESERVED))
		respond_error(context, ERR_TOO_MANY_CONNECTIONS, NULL);
	else
		call_handler(&router->parts, route->id, context);
}

void router_on_head(const struct http_request *request, struct http_body_rule *rule)
{
	struct route_match match;

	if (route_find(request->method, request->path, false, &match) == 0 &&
	    (match.route->flags & ROUTE_STREAMED))
		*rule = (struct http_body_rule){.streamed = true, .bytes_max = UINT64_MAX};
}

void router_on_request(const struct router *router, const struct http_request *request)
{
	struct request_context context = {.net = router->net, .request = request};
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
		.api_key = request->api_key,
		.asked_headers = request->access_control_request_headers,
		.body_length = request->body_length,
		.is_unix = request->peer.is_unix,
		.uid = request->peer.uid,
	};

	access_check(&router->access->policy, &facts, &context.verdict);
	router->state->requests++;
	dispatch_request(router, &context);
}
