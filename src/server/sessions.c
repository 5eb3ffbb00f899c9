/* sessions: who may open one, and what its messages become. Most become events; what concerns no
 * lease (status, logs, subscriptions) is answered here. Called by net and by the WebSocket route.
 */
#include "server/sessions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/loop.h"
#include "net/session.h"
#include "net/ws.h"
#include "server/access/operator_name.h"
#include "server/endpoint_ops.h"
#include "server/monitor/monitoring.h"
#include "server/named_processes.h"
#include "server/reload.h"
#include "server/routes.h"
#include "server/server.h"
#include "server/session_effects.h"
#include "wire/monitoring_encode.h"
#include "wire/session_decode.h"
#include "wire/session_encode.h"

static void deny_request(struct server *server, uint64_t conn, uint64_t ref, int err,
			 const char *detail)
{
	cleanup_text struct text body = {0};

	session_encode_denied(&body, ref, err, detail && detail[0] ? detail : NULL);
	net_session_send(server->endpoints.net, conn, body.bytes, body.length);
}

static void turn_away(struct server *server, uint64_t conn, int err, const char *detail, int code)
{
	struct endpoint *endpoint = endpoint_of(&server->endpoints, conn);
	deny_request(server, conn, 0, err, detail);
	net_session_close(server->endpoints.net, conn, code, err_name(err));
	if (endpoint)
		endpoint_turn(&server->endpoints, endpoint, ENDPOINT_LEAVING);
}

static struct endpoint *open_greeting(struct server *server, uint64_t conn,
				      const struct net_peer *peer, enum binding binding,
				      const char *origin)
{
	struct endpoint *endpoint =
		endpoint_open(&server->endpoints, conn, ENDPOINT_GREETING, origin);
	endpoint->session = calloc(1, sizeof(*endpoint->session));
	if (!endpoint->session)
		abort();
	endpoint->session->peer = *peer;
	endpoint->session->binding = binding;
	endpoint->session->pidfd = binding == BIND_NATIVE ? peer->pidfd : -1;
	endpoint->session->hello_due = mono_after(loop_now(), LIMIT_HELLO_TIME_MS);
	return endpoint;
}

/* A line session: the kernel says who it is. */
void sessions_on_open(void *ctx, uint64_t conn, const struct net_peer *peer)
{
	struct server *server = ctx;
	struct endpoint *endpoint = open_greeting(server, conn, peer, BIND_NATIVE, NULL);
	struct access_who who = {.is_unix = peer->is_unix, .uid = peer->uid};
	endpoint->session->rights = access_token_rights(&server->access.policy, NULL, &who);
	access_principal(&who, endpoint->session->principal);
	if (server->state.draining) {
		turn_away(server, conn, ERR_DRAINING, NULL, CLOSE_DRAINING);
	} else if (endpoint->session->rights == ACCESS_NONE) {
		log_event(&server->log_ring.log, LOG_WARN,
			  "refused a session of another user on the Unix socket",
			  log_int("uid", peer->uid), log_int("pid", peer->pid));
		turn_away(server, conn, ERR_FORBIDDEN, "this broker belongs to another user",
			  CLOSE_TOKEN);
	}
}

/* A WebSocket: Host and Origin were judged; a refusal is told after the handshake, because a page
 * cannot read the status of a refused one. */
void route_session(struct server *server, const struct request_context *context)
{
	const struct http_request *request = context->request;
	struct net *net = server->endpoints.net;

	if (!request->websocket) {
		respond_error(net, context, ERR_BAD_REQUEST,
			      "this route takes a WebSocket (RFC 6455, version 13)");
		return;
	}

	if (http_accept_websocket(net, request->conn))
		return;
	struct endpoint *endpoint = open_greeting(server, request->conn, &request->peer, BIND_TAB,
						  context->verdict.allow_origin);
	endpoint->session->rights = context->verdict.rights;
	endpoint->session->browser = context->verdict.browser;
	endpoint->session->paired = context->verdict.paired;

	access_principal(&context->verdict.who, endpoint->session->principal);
	if (server->state.draining)
		turn_away(server, request->conn, ERR_DRAINING, NULL, CLOSE_DRAINING);
	else if (request->reserved)
		turn_away(server, request->conn, ERR_TOO_MANY_CONNECTIONS, NULL, CLOSE_TOO_MANY);
}

/* What the token of a hello gives. A site has its own, from its own origin; where nothing but that
 * lets it in, no other counts. */
static enum access_right shown_rights(struct server *server, struct endpoint *endpoint,
				      const char *token, struct access_who *who)
{
	struct endpoint_session *session = endpoint->session;
	struct site *site =
		endpoint->origin ? sites_of_token(&server->sites, endpoint->origin, token) : NULL;
	if (site) {
		session->site = site->id;
		site_keeper_used(&server->site_keeper, site, server->broker.wall);
		return ACCESS_QUEUE;
	}
	return session->paired ? ACCESS_NONE
			       : access_token_rights(&server->access.policy, token, who);
}

/* A page that showed no key: its origin is all that is known of it. */
static bool is_of_origin(const char *principal)
{
	const char *host = strstr(principal, "://");
	return strncmp(principal, "origin:", 7) == 0 && host && !strchr(host, '+');
}

/* A secret alone is worth no more than what its session was opened by: an origin's counts from that
 * origin, and a site's while it is allowed. */
static bool secret_counts(struct server *server, struct endpoint *endpoint,
			  const struct token *secret)
{
	struct endpoint_session *session = endpoint->session;
	const struct session_record *of = core_session_of_secret(server->broker.core, secret);
	const struct site *site =
		endpoint->origin ? sites_of_origin(&server->sites, endpoint->origin) : NULL;
	if (of && is_of_origin(of->principal) && strcmp(of->principal, session->principal) != 0)
		return false;
	if (!site) /* revoked since it came, or none */
		return !session->paired;
	session->site = site->id;
	session->paired = true;
	return true;
}

static void on_hello(struct server *server, struct endpoint *endpoint, struct queued_event *queued)
{
	struct session_request *in = &queued->in;
	struct endpoint_session *session = endpoint->session;
	const struct net_peer *peer = &session->peer;
	enum access_right rights = session->rights;
	struct access_who who = {
		.is_unix = peer->is_unix, .uid = peer->uid, .origin = endpoint->origin};

	if (in->token)
		rights = shown_rights(server, endpoint, in->token, &who);
	/* The secret of a session is a credential; the core opens no new one for a wrong one,
	 * unless the peer may open one without it. */
	in->event.session.or_new = rights != ACCESS_NONE;
	bool by_secret = rights == ACCESS_NONE && !in->token && in->event.session.resume &&
			 secret_counts(server, endpoint, in->event.session.resume);

	if (rights == ACCESS_NONE && !by_secret) {
		int err = access_throttle(peer->is_unix ? &server->access.unix_throttle
							: &server->access.tcp_throttle,
					  server->broker.now);
		turn_away(server, endpoint->conn, err, NULL, CLOSE_TOKEN);
		event_queue_drop(&server->broker.queue, queued);
		return;
	}

	if (peer->crowded && !in->event.session.resume) {
		turn_away(server, endpoint->conn, ERR_TOO_MANY_CONNECTIONS, NULL, CLOSE_TOO_MANY);
		event_queue_drop(&server->broker.queue, queued);
		return;
	}

	/* On the last places only a session that is there is taken up again. */
	in->event.session.or_new &= !peer->crowded;
	if (in->token)
		access_principal(&who, session->principal);
	session->rights = rights; /* none by a secret alone: the core judges it, see deliver.c */
	snprintf(session->name, sizeof(session->name), "%s", in->event.session.name);
	session->since = session->seen = loop_now();

	endpoint_turn(&server->endpoints, endpoint, ENDPOINT_SESSION);
	in->event.from = party_of(PARTY_SESSION, endpoint->conn);
	in->event.session.binding = session->binding;
	in->event.session.browser = session->browser;
	in->event.session.pid = session->binding == BIND_NATIVE ? peer->pid : 0;
	in->event.session.pid_start = session->binding == BIND_NATIVE ? peer->pid_start : 0;
	in->event.session.uid = peer->uid;

	snprintf(queued->who, sizeof(queued->who), "%s", session->principal);
	in->event.session.principal = queued->who;
	event_queue_push(&server->broker.queue, queued);
}

static void on_event(struct server *server, struct endpoint *endpoint, struct queued_event *queued)
{
	struct event *event = &queued->in.event;

	event->from = party_of(PARTY_SESSION, endpoint->conn);
	if (event->type == EVENT_ACQUIRE) {
		event->acquire.binding = endpoint->session->binding;
		event->acquire.browser = endpoint->session->browser;
	} else if (event->type == EVENT_PROCESSES && endpoint->session->binding == BIND_NATIVE) {
		char detail[128];
		int rc = named_processes_check(&endpoint->session->peer, &queued->in.named, detail,
					       sizeof(detail));
		if (rc) {
			deny_request(server, endpoint->conn, 0, -rc, detail);
			event_queue_drop(&server->broker.queue, queued);
			return;
		}
	} else if (event->type == EVENT_RELEASE) {
		endpoint_released(endpoint, event->release.lease); /* also when it comes too late */
	}

	event_queue_push(&server->broker.queue, queued);
}

static void on_admin(struct server *server, struct endpoint *endpoint, struct queued_event *queued)
{
	operator_name(&endpoint->session->peer, endpoint->session->principal, queued->who,
		      sizeof(queued->who));
	queued->in.event.admin.who = queued->who;
	on_event(server, endpoint, queued);
}

static void on_subscribe(struct server *server, struct endpoint *endpoint,
			 const struct session_request *in)
{
	cleanup_text struct text body = {0};
	server->event_ring.subscribers +=
		(unsigned)in->events - (unsigned)endpoint->session->events;
	server->log_ring.subscribers += (unsigned)in->logs - (unsigned)endpoint->session->logs;
	endpoint->session->events = in->events;
	endpoint->session->logs = in->logs;
	session_encode_ok(&body, 0);
	net_session_send(server->endpoints.net, endpoint->conn, body.bytes, body.length);
}

static void send_logs(struct server *server, uint64_t conn, const struct session_request *in)
{
	cleanup_text struct text body = {0};

	session_encode_ok(&body, log_feed_send(&server->log_feed, conn, in->since, in->limit));
	net_session_send(server->endpoints.net, conn, body.bytes, body.length);
}

/* The long answers, which wait for nobody who does not read. */
static void send_watched(struct server *server, uint64_t conn, const struct session_request *in)
{
	bool sent = in->kind == REQUEST_CLIENTS ? monitoring_send_clients(&server->monitor, conn)
		    : in->kind == REQUEST_EVENTS
			    ? monitoring_send_events(&server->monitor, conn, in)
			    : monitoring_send_samples(&server->monitor, conn);
	if (!sent)
		deny_request(server, conn, 0, ERR_RATE_LIMITED, "read what was sent before");
}

static void send_link(struct server *server, uint64_t conn)
{
	cleanup_text struct text body = {0};
	cleanup_text struct text line = {0};
	uint8_t random[32];
	random_fill(&server->broker.random, random, sizeof(random));
	text_format(&line, "%s/?open=%s", server->home,
		    page_link_new(&server->access.keys, random, loop_now()));
	session_encode_link(&body, line.bytes);
	net_session_send(server->endpoints.net, conn, body.bytes, body.length);
	explicit_bzero(line.bytes, line.length);
	explicit_bzero(random, sizeof(random));
}

static void reload_for(struct server *server, uint64_t conn)
{
	cleanup_text struct text body = {0};
	char detail[512];
	struct settings_change change;
	const char *words[32];
	size_t count = 0;
	char *save = NULL;

	if (reload_settings(server, &change, detail, sizeof(detail))) {
		deny_request(server, conn, 0, ERR_CONFIG, detail);
		return;
	}

	for (char *word = strtok_r(change.applied, ", ", &save); word && count < 32;
	     word = strtok_r(NULL, ", ", &save))
		words[count++] = word;
	session_encode_reloaded(&body, words, count);
	net_session_send(server->endpoints.net, conn, body.bytes, body.length);
}

/* Of itself alone: its own rows of the status, and what asks for nothing but an `ok`. */
static bool site_may_ask(const struct session_request *in)
{
	return in->kind == REQUEST_STATUS ||
	       (in->kind == REQUEST_SUBSCRIBE && !in->events && !in->logs) ||
	       (in->kind == REQUEST_EVENTS && in->limit == 0);
}

/* A well-formed message of a session that said hello. Who has shown nothing but a secret that the
 * core has not judged yet learns nothing; its events meet the core's own refusal. */
static void on_said(struct server *server, struct endpoint *endpoint, struct queued_event *queued)
{
	struct session_request *in = &queued->in;
	bool for_admins =
		in->kind == REQUEST_ADMIN || in->kind == REQUEST_OPEN || in->kind == REQUEST_RELOAD;
	enum access_right rights = endpoint->session->rights;
	bool event = in->kind == REQUEST_EVENT || in->kind == REQUEST_ADMIN;
	bool asks = !event && in->kind != REQUEST_ABOUT;
	bool stranger = rights == ACCESS_NONE && (asks || for_admins);

	if (stranger || (for_admins && rights < ACCESS_ADMIN) ||
	    (rights == ACCESS_QUEUE && asks && !site_may_ask(in))) {
		deny_request(server, endpoint->conn, in->ref,
			     stranger ? ERR_UNAUTHORIZED : ERR_FORBIDDEN, NULL);
		event_queue_drop(&server->broker.queue, queued);
		return;
	}

	if (!event) /* whatever a session says shows that it lives */
		event_queue_event(&server->broker.queue, EVENT_ALIVE,
				  party_of(PARTY_SESSION, endpoint->conn));
	switch (in->kind) {
	case REQUEST_EVENT:
		on_event(server, endpoint, queued);
		return;
	case REQUEST_ADMIN:
		on_admin(server, endpoint, queued);
		return;
	case REQUEST_STATUS:
		if (!status_stream_begin(&server->status_streams, endpoint->conn, true, in->limit))
			deny_request(server, endpoint->conn, 0, ERR_RATE_LIMITED,
				     "status: one at a time");
		break;
	case REQUEST_SUBSCRIBE:
		on_subscribe(server, endpoint, in);
		break;
	case REQUEST_LOGS:
		send_logs(server, endpoint->conn, in);
		break;
	case REQUEST_ABOUT:
		client_info_merge(&endpoint->session->about, &in->about);
		break;
	case REQUEST_CLIENTS:
	case REQUEST_EVENTS:
	case REQUEST_SAMPLES:
		send_watched(server, endpoint->conn, in);
		break;
	case REQUEST_OPEN:
		send_link(server, endpoint->conn);
		break;
	case REQUEST_RELOAD:
		reload_for(server, endpoint->conn);
		break;
	case REQUEST_HELLO:
		assert(false && "session_decode takes hello before the name is known only");
		break;
	}

	event_queue_drop(&server->broker.queue, queued);
}

/* Decodes one message; 0 or a negative enum err. */
static int decode_message(struct server *server, struct endpoint *endpoint, const char *greeted_as,
			  const char *text, size_t length, struct session_request *ret_request)
{
	struct wire_context wire = server->active.wire;
	wire.principal = endpoint->session->principal;
	return session_decode(text, length, &wire, greeted_as, ret_request);
}

static void on_first_message(void *ctx, struct endpoint *endpoint, const char *text, size_t length)
{
	struct server *server = ctx;
	struct queued_event *queued = event_queue_new(&server->broker.queue);
	int rc = decode_message(server, endpoint, NULL, text, length, &queued->in);
	if (rc == 0) {
		on_hello(server, endpoint, queued);
		return;
	}

	turn_away(server, endpoint->conn, -rc, queued->in.parsed.detail,
		  rc == -ERR_VERSION ? CLOSE_VERSION : CLOSE_TOKEN);
	event_queue_drop(&server->broker.queue, queued);
}

static void on_session_message(void *ctx, struct endpoint *endpoint, const char *text,
			       size_t length)
{
	struct server *server = ctx;
	struct queued_event *queued = event_queue_new(&server->broker.queue);
	endpoint->session->seen = loop_now();
	int rc = decode_message(server, endpoint, endpoint->session->name, text, length,
				&queued->in);
	if (rc == 0) {
		on_said(server, endpoint, queued);
		return;
	}

	const char *detail = queued->in.parsed.detail;
	if (rc == -ERR_VERSION)
		turn_away(server, endpoint->conn, ERR_VERSION, detail, CLOSE_VERSION);
	else
		deny_request(server, endpoint->conn, queued->in.ref, -rc, detail);
	event_queue_drop(&server->broker.queue, queued);
}

void sessions_on_message(void *ctx, uint64_t conn, const char *text, size_t length)
{
	struct server *server = ctx;
	if (!server->state.draining)
		endpoints_message(&server->endpoints, conn, text, length);
}

static void forget_subscriptions(void *ctx, struct endpoint *endpoint)
{
	struct server *server = ctx;
	server->event_ring.subscribers -= endpoint->session->events;
	server->log_ring.subscribers -= endpoint->session->logs;
	status_stream_drop(&server->status_streams, endpoint->conn);
}

static void on_session_gone(void *ctx, struct endpoint *endpoint)
{
	struct server *server = ctx;
	const struct endpoint_session *session = endpoint->session;
	if (!server->state.draining) {
		struct event *event = event_queue_event(&server->broker.queue, EVENT_CONN_CLOSED,
							party_of(PARTY_SESSION, endpoint->conn));
		event->closed.peer_gone =
			session->id && process_tracker_gone(&server->tracker, session->id);
	}
	forget_subscriptions(server, endpoint);
}

void sessions_on_closed(void *ctx, uint64_t conn, bool clean)
{
	struct server *server = ctx;
	(void)clean; /* only what the session said before tells an end from a loss */
	endpoints_gone(&server->endpoints, conn);
}

void sessions_expire(struct server *server, struct mono_ms now)
{
	struct list *greeting = &server->endpoints.kinds[ENDPOINT_GREETING];
	list_each (it, next, greeting) {
		struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (!mono_due(endpoint->session->hello_due, now))
			return; /* the oldest is first */
		turn_away(server, endpoint->conn, ERR_UNAUTHORIZED, "no hello in time",
			  CLOSE_TOKEN);
	}
}

struct mono_ms sessions_wake(const struct server *server)
{
	const struct endpoint *endpoint = endpoint_oldest(&server->endpoints, ENDPOINT_GREETING);
	return endpoint ? endpoint->session->hello_due : MONO_NEVER;
}

void sessions_tell_reload(void *ctx, const char *path)
{
	cleanup_text struct text body = {0};
	struct server *server = ctx;

	session_encode_reload(&body, path);
	list_each (it, next, &server->endpoints.kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (endpoint->session->binding == BIND_TAB && endpoint->session->id != 0)
			net_session_send(server->endpoints.net, endpoint->conn, body.bytes,
					 body.length);
	}
}

const char *sessions_rights_name(enum access_right rights)
{
	return rights == ACCESS_ADMIN ? "admin" : rights == ACCESS_QUEUE ? "queue" : "token";
}

unsigned sessions_of_site(const struct server *server, uint64_t site)
{
	unsigned count = 0;
	list_each (it, next, &server->endpoints.kinds[ENDPOINT_SESSION])
		count += container_of(it, struct endpoint, link)->session->site == site;
	return count;
}

/* Its page hears that it is over and stops; who is next comes after the linger of a tab. */
void sessions_end_site(struct server *server, uint64_t site)
{
	list_each (it, next, &server->endpoints.kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (endpoint->session->site == site)
			net_session_close(server->endpoints.net, endpoint->conn, CLOSE_TOKEN,
					  "revoked");
	}
}

static void close_draining(void *ctx, struct endpoint *endpoint)
{
	struct server *server = ctx;
	net_session_close(server->endpoints.net, endpoint->conn, CLOSE_DRAINING,
			  err_name(ERR_DRAINING));
}

const struct endpoint_ops greeting_ops = {
	.send = session_send_effect,
	.message = on_first_message,
	.gone = forget_subscriptions,
	.drain = close_draining,
};

const struct endpoint_ops session_ops = {
	.send = session_send_effect,
	.message = on_session_message,
	.gone = on_session_gone,
	.drain = close_draining,
};

const struct endpoint_ops leaving_ops = {.gone = forget_subscriptions};
