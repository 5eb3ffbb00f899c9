/* greeting: see greeting.h. The core judges the secret of a session; all other credentials are
 * judged here. */
#include "server/session/greeting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "core/view.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/ws.h"
#include "server/access/access_setup.h"
#include "server/access/site_keeper.h"
#include "server/broker.h"
#include "server/endpoints.h"
#include "server/queued_event.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "server/session/refusal.h"

static struct endpoint *open_greeting(const struct greeting *greeting, uint64_t conn,
				      const struct net_peer *peer, enum binding binding,
				      const char *origin)
{
	struct endpoint *endpoint =
		endpoint_open(greeting->endpoints, conn, ENDPOINT_GREETING, origin);
	endpoint->session = calloc(1, sizeof(*endpoint->session));
	if (!endpoint->session)
		abort();
	endpoint->session->peer = *peer;
	endpoint->session->binding = binding;
	endpoint->session->pidfd = binding == BIND_NATIVE ? peer->pidfd : -1;
	endpoint->session->hello_due = mono_after(loop_now(), LIMIT_HELLO_TIME_MS);
	return endpoint;
}

void greeting_open(const struct greeting *greeting, uint64_t conn, const struct net_peer *peer)
{
	struct endpoint *endpoint = open_greeting(greeting, conn, peer, BIND_NATIVE, NULL);
	struct access_who who = {.is_unix = peer->is_unix, .uid = peer->uid};

	endpoint->session->rights = access_token_rights(&greeting->access->policy, NULL, &who);
	access_principal(&who, endpoint->session->principal);
	if (greeting->state->draining) {
		session_turn_away(greeting->endpoints, conn, ERR_DRAINING, NULL, CLOSE_DRAINING);
	} else if (endpoint->session->rights == ACCESS_NONE) {
		log_event(greeting->log, LOG_WARN,
			  "refused a session of another user on the Unix socket",
			  log_int("uid", peer->uid), log_int("pid", peer->pid));
		session_turn_away(greeting->endpoints, conn, ERR_FORBIDDEN,
				  "this broker belongs to another user", CLOSE_TOKEN);
	}
}

void greeting_open_websocket(const struct greeting *greeting, const struct request_context *context)
{
	const struct http_request *request = context->request;
	struct endpoints *endpoints = greeting->endpoints;

	if (!request->websocket) {
		respond_error(context, ERR_BAD_REQUEST,
			      "this route takes a WebSocket (RFC 6455, version 13)");
		return;
	}

	if (http_accept_websocket(endpoints->net, request->conn))
		return;
	struct endpoint *endpoint = open_greeting(greeting, request->conn, &request->peer, BIND_TAB,
						  context->verdict.allow_origin);
	endpoint->session->rights = context->verdict.rights;
	endpoint->session->browser = context->verdict.browser;
	endpoint->session->paired = context->verdict.paired;

	access_principal(&context->verdict.who, endpoint->session->principal);
	if (greeting->state->draining)
		session_turn_away(endpoints, request->conn, ERR_DRAINING, NULL, CLOSE_DRAINING);
	else if (request->reserved)
		session_turn_away(endpoints, request->conn, ERR_TOO_MANY_CONNECTIONS, NULL,
				  CLOSE_TOO_MANY);
}

/* What the token of a hello gives. A site has its own, from its own origin; where nothing but that
 * lets it in, no other counts. */
static enum access_right shown_rights(const struct greeting *greeting, struct endpoint *endpoint,
				      const char *token, struct access_who *who)
{
	struct endpoint_session *session = endpoint->session;
	struct sites *sites = greeting->sites->sites;
	struct site *site =
		endpoint->origin ? sites_of_token(sites, endpoint->origin, token) : NULL;
	if (site) {
		session->site = site->id;
		site_keeper_used(greeting->sites, site, greeting->broker->wall);
		return ACCESS_QUEUE;
	}
	return session->paired ? ACCESS_NONE
			       : access_token_rights(&greeting->access->policy, token, who);
}

/* A page that showed no key: its origin is all that is known of it. */
static bool is_of_origin(const char *principal)
{
	const char *host = strstr(principal, "://");
	return strncmp(principal, "origin:", 7) == 0 && host && !strchr(host, '+');
}

/* A secret alone is worth no more than what its session was opened by: an origin's counts from that
 * origin, a site's while it is allowed, and that of a key, which may have been replaced, not. */
static bool secret_counts(const struct greeting *greeting, struct endpoint *endpoint,
			  const struct token *secret)
{
	struct endpoint_session *session = endpoint->session;
	struct sites *sites = greeting->sites->sites;
	const struct session_record *of = core_session_of_secret(greeting->broker->core, secret);
	const struct site *site =
		endpoint->origin ? sites_of_origin(sites, endpoint->origin) : NULL;
	if (of && strncmp(of->principal, "key:", 4) == 0)
		return false;
	if (of && is_of_origin(of->principal) && strcmp(of->principal, session->principal) != 0)
		return false;
	if (!site) /* revoked since it came, or none */
		return !session->paired;
	session->site = site->id;
	session->paired = true;
	return true;
}

static void refuse_hello(const struct greeting *greeting, struct endpoint *endpoint,
			 struct queued_event *queued, int err, int code)
{
	session_turn_away(greeting->endpoints, endpoint->conn, err, NULL, code);
	event_queue_drop(&greeting->broker->queue, queued);
}

/* What the core is to know of the session besides what its hello says. */
static void fill_event(const struct endpoint *endpoint, struct queued_event *queued)
{
	const struct endpoint_session *session = endpoint->session;
	const struct net_peer *peer = &session->peer;
	struct event *event = &queued->in.event;
	bool native = session->binding == BIND_NATIVE;

	event->from = party_of(PARTY_SESSION, endpoint->conn);
	event->session.binding = session->binding;
	event->session.browser = session->browser;
	event->session.pid = native ? peer->pid : 0;
	event->session.pid_start = native ? peer->pid_start : 0;
	event->session.uid = peer->uid;

	snprintf(queued->who, sizeof(queued->who), "%s", session->principal);
	event->session.principal = queued->who;
}

void greeting_hello(const struct greeting *greeting, struct endpoint *endpoint,
		    struct queued_event *queued)
{
	struct session_request *in = &queued->in;
	struct endpoint_session *session = endpoint->session;
	const struct net_peer *peer = &session->peer;
	struct access_setup *access = greeting->access;
	enum access_right rights = session->rights;
	struct access_who who = {
		.is_unix = peer->is_unix, .uid = peer->uid, .origin = endpoint->origin};

	if (in->token)
		rights = shown_rights(greeting, endpoint, in->token, &who);
	/* The secret of a session is a credential; the core opens no new one for a wrong one,
	 * unless the peer may open one without it. */
	in->event.session.or_new = rights != ACCESS_NONE;
	bool by_secret = rights == ACCESS_NONE && !in->token && in->event.session.resume &&
			 secret_counts(greeting, endpoint, in->event.session.resume);

	if (rights == ACCESS_NONE && !by_secret) {
		int err = access_throttle(peer->is_unix ? &access->unix_throttle
							: &access->tcp_throttle,
					  greeting->broker->now);
		refuse_hello(greeting, endpoint, queued, err, CLOSE_TOKEN);
		return;
	}

	if (peer->crowded && !in->event.session.resume) {
		refuse_hello(greeting, endpoint, queued, ERR_TOO_MANY_CONNECTIONS, CLOSE_TOO_MANY);
		return;
	}

	/* On the last places only a session that is there is taken up again. */
	in->event.session.or_new &= !peer->crowded;
	if (in->token)
		access_principal(&who, session->principal);
	session->rights = rights; /* none by a secret alone: the core judges it, see effects.c */
	snprintf(session->name, sizeof(session->name), "%s", in->event.session.name);
	session->since = session->seen = loop_now();

	endpoint_turn(greeting->endpoints, endpoint, ENDPOINT_SESSION);
	fill_event(endpoint, queued);
	event_queue_push(&greeting->broker->queue, queued);
}

void greeting_expire(struct endpoints *endpoints, struct mono_ms now)
{
	list_each (it, next, &endpoints->kinds[ENDPOINT_GREETING]) {
		struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (!mono_due(endpoint->session->hello_due, now))
			return; /* the oldest is first */
		session_turn_away(endpoints, endpoint->conn, ERR_UNAUTHORIZED, "no hello in time",
				  CLOSE_TOKEN);
	}
}

struct mono_ms greeting_wake(const struct endpoints *endpoints)
{
	const struct endpoint *endpoint = endpoint_oldest(endpoints, ENDPOINT_GREETING);
	return endpoint ? endpoint->session->hello_due : MONO_NEVER;
}
