/* deliver: from effects to bytes. Decides nothing about leases. Called by turn.c after the commit,
 * and by serve.c for what is sent without an effect. */
#include "server/deliver.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_reply.h"
#include "net/session.h"
#include "server/message_context.h"
#include "server/respond.h"
#include "server/server.h"
#include "server/sessions.h"
#include "wire/event_encode.h"

enum { FEED_PENDING_BYTES = 256 * 1024, FEED_ROWS_PER_TURN = 256 };

static void fill(struct server *server, struct message_context *context,
		 const struct send_effect *send)
{
	message_context_fill(context, server->broker.core, &server->active.settings.core,
			     server->epoch, server->broker.now, server->broker.wall, send);
}

void deliver_body(struct server *server, uint64_t conn)
{
	net_session_send(server->endpoints.net, conn, server->body.bytes, server->body.length);
}

/* Who is told its place from now on. Who came back with a waiting claim has not heard it yet. */
static void note_place(struct server *server, struct party to, const struct send_effect *send,
		       const struct message_context *context)
{
	struct position_updates_told said = {POSITION_UPDATES_UNTOLD, MONO_NEVER};
	if (send->msg == SEND_CLAIM && send->state == CLAIM_QUEUED) {
		position_updates_watch(&server->position_updates, send->lease, to, send->ref, said,
				       server->broker.now);
	} else if (send->msg == SEND_QUEUED && context->wire.has_place) { /* not granted already */
		said.position = context->wire.position;
		said.promise = core_promise(server->broker.core, send->lease);
		position_updates_watch(&server->position_updates, send->lease, to, send->ref, said,
				       server->broker.now);
	}
	if (send->msg == SEND_OFFERED || send->msg == SEND_GRANTED)
		position_updates_forget(&server->position_updates, send->lease);
}

static int close_code(int err)
{
	switch (err) {
	case ERR_UNAUTHORIZED:
		return CLOSE_TOKEN;
	case ERR_VERSION:
		return CLOSE_VERSION;
	case ERR_TOO_MANY_CONNECTIONS:
	case ERR_QUEUE_FULL:
		return CLOSE_TOO_MANY;
	case ERR_DRAINING:
	case ERR_JOURNAL:
		return CLOSE_DRAINING;
	default:
		return 1008;
	}
}

/* What the endpoint remembers of what its session is told. */
static void note_told(struct server *server, struct endpoint *endpoint,
		      const struct send_effect *send)
{
	struct endpoint_session *session = endpoint->session;
	uint64_t lease = send->lease;
	if (send->msg == SEND_WELCOME) {
		session->id = lease;
		if (session->binding == BIND_NATIVE)
			process_tracker_take(&server->tracker, lease, session->pidfd);
		session->pidfd = -1;
		if (session->rights == ACCESS_NONE) /* its secret was right */
			session->rights = session->paired ? ACCESS_QUEUE : ACCESS_TOKEN;
	} else if (send->msg == SEND_REVOKED && send->state != CLAIM_OFFERED) {
		endpoint_revoked(endpoint, lease);
	} else if (send->msg == SEND_RELEASED) {
		endpoint_released(endpoint, lease);
	}
}

static void to_session(struct server *server, struct endpoint *endpoint,
		       const struct send_effect *send)
{
	struct message_context context;
	note_told(server, endpoint, send);
	fill(server, &context, send);
	context.wire.rights = sessions_rights_name(endpoint->session->rights);
	context.wire.dev = server->dev;
	context.wire.linger_ms =
		core_linger_ms(&server->active.settings.core, endpoint->session->binding);
	text_clear(&server->body);
	session_encode(&server->body, send, &context.wire);
	deliver_body(server, endpoint->conn);
	note_place(server, party_of(PARTY_SESSION, endpoint->conn), send, &context);
	if (send->msg == SEND_DENIED && endpoint->session->id == 0)
		net_session_close(server->endpoints.net, endpoint->conn, close_code(send->err),
				  err_name(send->err));
}

static void to_request(struct server *server, struct endpoint *endpoint,
		       const struct send_effect *send)
{
	struct message_context context;
	struct http_answer answer;
	struct net *net = server->endpoints.net;
	uint64_t conn = endpoint->conn;
	fill(server, &context, send);
	text_clear(&server->body);
	if (!http_encode_effect(&server->body, endpoint->route, send, &context.wire, &answer))
		return;
	/* A grant that does not arrive must not be held: the endpoint stays until it is known. */
	char *origin = endpoint->origin;
	endpoint->origin = NULL;
	if (send->msg == SEND_GRANTED)
		endpoint_turn(&server->endpoints, endpoint, ENDPOINT_ANSWERED);
	else
		endpoint_shut(&server->endpoints, endpoint);
	respond_text(net, conn, origin, &answer, &server->body);
	free(origin);
}

static void to_stream(struct server *server, struct endpoint *endpoint,
		      const struct send_effect *send)
{
	struct message_context context;
	struct net *net = server->endpoints.net;
	uint64_t conn = endpoint->conn;
	struct party exchange = party_of(PARTY_EXCHANGE, conn);
	bool last = false;
	enum send_kind msg = send->msg;
	if (!endpoint->begun &&
	    (msg == SEND_DENIED || msg == SEND_TIMEOUT || msg == SEND_RELEASED)) {
		to_request(server, endpoint, send);
		return;
	}
	fill(server, &context, send);
	text_clear(&server->body);
	if (!http_encode_stream(&server->body, send, &context.wire, &last))
		return;
	note_place(server, exchange, send, &context);
	if (!endpoint->begun)
		respond_stream(net, conn, endpoint->origin, "text/event-stream");
	endpoint->begun = true;
	http_stream_write(net, conn, server->body.bytes, server->body.length);
	if (!last)
		return;
	endpoint_shut(&server->endpoints, endpoint);
	event_queue_event(&server->broker.queue, EVENT_CONN_CLOSED, exchange);
	http_stream_end(net, conn);
}

/* What was said to a connection that is gone is dropped, whoever resumed its session meanwhile. */
static void on_send(void *ctx, struct party to, const struct send_effect *send)
{
	struct server *server = ctx;
	struct endpoint *endpoint = endpoint_of(&server->endpoints, to.id);
	if (!endpoint || to.kind == PARTY_GATEWAY) /* nothing is forwarded yet */
		return;
	switch (endpoint->kind) {
	case ENDPOINT_REQUEST:
		to_request(server, endpoint, send);
		break;
	case ENDPOINT_STREAM:
		to_stream(server, endpoint, send);
		break;
	case ENDPOINT_GREETING:
	case ENDPOINT_SESSION:
		to_session(server, endpoint, send);
		break;
	case ENDPOINT_ANSWERED:
	case ENDPOINT_FEED:
	case ENDPOINT_STATUS:
	case ENDPOINT_LEAVING:
	case ENDPOINT_KIND_COUNT:
		break;
	}
}

void deliver_place(void *ctx, struct party to, const struct send_effect *queued)
{
	on_send(ctx, to, queued);
}

static void tell_subscribers(struct server *server, const struct observed_change *change)
{
	text_clear(&server->body);
	list_each (it, next, &server->endpoints.kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (!endpoint->session->events)
			continue;
		if (server->body.length == 0)
			event_encode(&server->body, &change->trace, change->id, change->at,
				     &server->active.settings.core);
		deliver_body(server, endpoint->conn);
	}
}

static void on_trace(void *ctx, const struct trace_effect *trace)
{
	struct server *server = ctx;
	uint64_t id = server->observers.change_next;
	observe_change(&server->observers, trace, server->broker.wall);
	tally_trace(&server->tally, trace);
	if (trace->what == TRACE_PAUSED)
		memcpy(server->paused_reason, trace->detail, sizeof server->paused_reason);
	if (server->observers.subscribers > 0)
		tell_subscribers(server, observe_change_at(&server->observers, id));
	if (server->observers.log.level < LOG_INFO)
		return;
	text_clear(&server->line);
	event_encode_log(&server->line, trace, &server->active.settings.core);
	log_write(&server->observers.log, LOG_INFO, server->line.bytes, NULL, 0);
}

void deliver_line(void *ctx, const struct observed_line *line)
{
	struct server *server = ctx;
	if (server->observers.line_subscribers == 0)
		return;
	struct text rendered, message;
	text_init(&rendered);
	text_init(&message);
	deliver_render_line(&rendered, &message, line);
	list_each (it, next, &server->endpoints.kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (endpoint->session->logs)
			net_session_send(server->endpoints.net, endpoint->conn, message.bytes,
					 message.length);
	}
	text_finish(&rendered);
	text_finish(&message);
}

void deliver_render_line(struct text *scratch, struct text *out, const struct observed_line *line)
{
	text_clear(scratch);
	encode_time(scratch, line->at);
	text_format(scratch, " %s %s", log_level_name(line->level), line->text);
	text_clear(out);
	session_encode_log(out, scratch->bytes);
}

static void on_signal(void *ctx, const struct signal_effect *signal)
{
	struct server *server = ctx;
	process_tracker_signal(&server->tracker, signal->session, signal->signo);
}

static void on_close(void *ctx, struct party to)
{
	struct server *server = ctx;
	net_session_close(server->endpoints.net, to.id, 1000, "the session ended here");
}

static void on_appended(void *ctx, const struct record *record)
{
	struct server *server = ctx;
	if (record->type == RECORD_SESSION_PUT)
		process_tracker_watch(&server->tracker, &record->session);
	else if (record->type == RECORD_SESSION_END)
		process_tracker_forget(&server->tracker, record->session.id);
}

static void on_queue_changed(void *ctx)
{
	struct server *server = ctx;
	server->position_updates.dirty = true;
}

/* The folder may have been made anew. */
static void keep_secrets(const struct server *server)
{
	const char *dir = server->active.paths.state_dir, *bridge = getenv("BRIDGE_TOKEN");
	if (!server->active.options.bridge || !bridge || !bridge[0])
		credential_keep(dir, "token", server->access.token);
	credential_keep(dir, "admin-token", server->access.admin_token);
}

static void on_journal(void *ctx, bool ok)
{
	struct server *server = ctx;
	const char *trouble = store_trouble(server->broker.store);
	if (ok) {
		log_write(&server->observers.log, LOG_INFO, "journal works again; granting", NULL,
			  0);
		keep_secrets(server);
	} else if (trouble[0]) {
		log_event(&server->observers.log, LOG_ERROR,
			  "the journal is lost: nothing new is granted until it can be begun anew; "
			  "trying",
			  log_str("why", trouble), log_int("in_ms", BROKER_RETRY_MS));
	} else {
		log_event(&server->observers.log, LOG_ERROR,
			  "journal cannot be written: nothing new is granted, releases are "
			  "taken; free disk space; retrying",
			  log_int("in_ms", BROKER_RETRY_MS));
	}
}

struct broker_out deliver_out(struct server *server)
{
	return (struct broker_out){.send = on_send,
				   .trace = on_trace,
				   .signal = on_signal,
				   .close = on_close,
				   .appended = on_appended,
				   .queue_changed = on_queue_changed,
				   .journal = on_journal,
				   .ctx = server};
}

/* The next changes after endpoint->sent, as far as the reader takes them. True: there are more. */
static bool feed(struct server *server, struct endpoint *endpoint)
{
	const struct observers *o = &server->observers;
	struct net *net = server->endpoints.net;
	uint64_t oldest = observe_change_oldest(o);
	bool gap = endpoint->sent + 1 < oldest; /* it must look at the status instead */
	if (!gap && endpoint->sent + 1 >= o->change_next)
		return false;
	if (http_stream_pending(net, endpoint->conn) > FEED_PENDING_BYTES)
		return true;
	text_clear(&server->body);
	if (gap) {
		http_encode_sse(&server->body, 0, "reset", "{\"type\":\"reset\"}");
		endpoint->sent = oldest - 1;
	}
	for (int n = 0; n < FEED_ROWS_PER_TURN && endpoint->sent + 1 < o->change_next; n++) {
		const struct observed_change *change = observe_change_at(o, endpoint->sent + 1);
		assert(change);
		text_clear(&server->line);
		event_encode(&server->line, &change->trace, change->id, change->at,
			     &server->active.settings.core);
		http_encode_sse(&server->body, change->id, trace_name(change->trace.what),
				server->line.bytes);
		endpoint->sent = change->id;
	}
	http_stream_write(net, endpoint->conn, server->body.bytes, server->body.length);
	return endpoint->sent + 1 < o->change_next;
}

bool deliver_feeds(struct server *server)
{
	bool more = false;
	list_each (it, next, &server->endpoints.kinds[ENDPOINT_FEED])
		more |= feed(server, container_of(it, struct endpoint, link));
	return more;
}

void deliver_keepalive(struct server *server)
{
	const enum endpoint_kind kinds[] = {ENDPOINT_STREAM, ENDPOINT_FEED};
	text_clear(&server->body);
	http_encode_sse_keepalive(&server->body);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		list_each (it, next, &server->endpoints.kinds[kinds[i]]) {
			struct endpoint *endpoint = container_of(it, struct endpoint, link);
			if (endpoint->kind == ENDPOINT_FEED || endpoint->begun)
				http_stream_write(server->endpoints.net, endpoint->conn,
						  server->body.bytes, server->body.length);
		}
	}
}
