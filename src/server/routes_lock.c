/* routes_lock: lock, unlock and renew, and the operators' acts: requests that become one event and
 * wait at a endpoint for the effect that answers them. */
#include <string.h>

#include "server/routes.h"
#include "server/server.h"

static void refuse(struct server *server, const struct asked *asked, int err, const char *detail)
{
	respond_error(server->endpoints.net, asked, &server->body, err, detail);
}

static struct endpoint *park(struct server *server, const struct asked *asked,
			     enum endpoint_kind kind)
{
	struct endpoint *endpoint = endpoint_open(&server->endpoints, asked->request->conn, kind,
						  asked->verdict.allow_origin);
	endpoint->route = asked->verdict.match.route->id;
	return endpoint;
}

/* A refused body: answered, and the ticket dropped. */
static bool refused(struct server *server, const struct asked *asked, struct ticket *ticket, int rc)
{
	if (rc == 0)
		return false;
	refuse(server, asked, -rc, ticket->in.parsed.detail);
	batch_drop(&server->broker.batch, ticket);
	return true;
}

static void push(struct server *server, const struct asked *asked, struct ticket *ticket)
{
	ticket->in.event.from = party_of(PARTY_EXCHANGE, asked->request->conn);
	batch_push(&server->broker.batch, ticket);
}

static bool wants_stream(const struct http_request *request)
{
	return request->accept && strstr(request->accept, "text/event-stream");
}

void route_lock(struct server *server, const struct asked *asked)
{
	const struct http_request *request = asked->request;
	bool stream = wants_stream(request);
	if (server->draining) {
		refuse(server, asked, ERR_DRAINING, NULL);
		return;
	}
	struct ticket *ticket = batch_new(&server->broker.batch);
	struct event *event = &ticket->in.event;
	enum binding binding = stream ? BIND_STREAM : BIND_HTTP;
	struct wire_context wire = server->live.wire;
	access_principal(&asked->verdict.who, ticket->who);
	wire.principal = ticket->who;
	int rc = lock_parse(request->body, request->body_length, &wire, binding, &ticket->in.parsed,
			    event);
	if (refused(server, asked, ticket, rc))
		return;
	event->acquire.browser = asked->verdict.browser;
	event->acquire.principal = ticket->who;
	struct endpoint *endpoint =
		park(server, asked, stream ? ENDPOINT_STREAM : ENDPOINT_REQUEST);
	if (request->origin && !endpoint_count_browser(&server->endpoints, endpoint,
						       request->origin, request->user_agent)) {
		endpoint_shut(&server->endpoints, endpoint);
		batch_drop(&server->broker.batch, ticket);
		refuse(server, asked, ERR_TOO_MANY_WAITING, NULL);
		return;
	}
	push(server, asked, ticket);
}

void route_unlock(struct server *server, const struct asked *asked)
{
	const struct http_request *request = asked->request;
	struct ticket *ticket = batch_new(&server->broker.batch);
	struct event *event = &ticket->in.event;
	int rc = unlock_parse(request->body, request->body_length, &ticket->in.parsed, event);
	if (refused(server, asked, ticket, rc))
		return;
	if (!event->release.token && !server->policy.bridge) {
		snprintf(ticket->in.parsed.detail, sizeof ticket->in.parsed.detail,
			 "field `token`: send the one that the lock was answered with");
		(void)refused(server, asked, ticket, -ERR_STALE);
		return;
	}
	park(server, asked, ENDPOINT_REQUEST);
	push(server, asked, ticket);
}

void route_renew(struct server *server, const struct asked *asked)
{
	const struct http_request *request = asked->request;
	struct ticket *ticket = batch_new(&server->broker.batch);
	int rc = renew_parse(request->body, request->body_length, &server->live.wire,
			     &ticket->in.parsed, &ticket->in.event);
	if (refused(server, asked, ticket, rc))
		return;
	park(server, asked, ENDPOINT_REQUEST);
	push(server, asked, ticket);
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

void route_admin(struct server *server, const struct asked *asked)
{
	const struct http_request *request = asked->request;
	const struct route_match *match = &asked->verdict.match;
	struct ticket *ticket = batch_new(&server->broker.batch);
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	access_principal(&asked->verdict.who, principal);
	routes_who(&request->peer, principal, ticket->who, sizeof ticket->who);
	int rc = admin_parse(request->body, request->body_length, act_of(match->route->id),
			     match->lease, ticket->who, &ticket->in.parsed, &ticket->in.event);
	if (refused(server, asked, ticket, rc))
		return;
	park(server, asked, ENDPOINT_REQUEST);
	push(server, asked, ticket);
}
