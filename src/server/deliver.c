/* deliver: from effects to bytes. Decides nothing about leases. Called by broker.c after the
 * commit, and by serve.c for what is sent without an effect. What a message becomes on the way to
 * its endpoint is that kind's own affair, see endpoint_ops.h. */
#include "server/deliver.h"

#include <stdlib.h>
#include <string.h>

#include "net/http_reply.h"
#include "net/session.h"
#include "server/endpoint_ops.h"
#include "server/message_context.h"
#include "server/server.h"
#include "server/sessions.h"
#include "wire/event_encode.h"
#include "wire/status_encode.h"

void deliver_fill(struct server *server, struct message_context *context,
		  const struct send_effect *send)
{
	message_context_fill(context, server->broker.core, &server->active.settings.core,
			     server->state.epoch, server->broker.now, server->broker.wall, send);
}

void deliver_note_place(struct server *server, struct party to, const struct send_effect *send,
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

/* What was said to a connection that is gone is dropped, whoever resumed its session meanwhile. */
static void on_send(void *ctx, struct party to, const struct send_effect *send)
{
	struct server *server = ctx;
	if (to.kind != PARTY_GATEWAY) /* nothing is forwarded yet */
		endpoints_send(&server->endpoints, to.id, send);
}

void deliver_place(void *ctx, struct party to, const struct send_effect *queued)
{
	on_send(ctx, to, queued);
}

static void tell_subscribers(struct server *server, const struct event_ring_row *change)
{
	cleanup_text struct text body = {0};

	list_each (it, next, &server->endpoints.kinds[ENDPOINT_SESSION]) {
		const struct endpoint *endpoint = container_of(it, struct endpoint, link);
		if (!endpoint->session->events)
			continue;
		if (body.length == 0)
			event_encode(&body, &change->trace, change->id, change->at,
				     &server->active.settings.core);
		net_session_send(server->endpoints.net, endpoint->conn, body.bytes, body.length);
	}
}

static void on_trace(void *ctx, const struct trace_effect *trace)
{
	cleanup_text struct text line = {0};
	struct server *server = ctx;
	uint64_t id = server->event_ring.next;
	event_ring_add(&server->event_ring, trace, server->broker.wall);
	tally_trace(&server->tally, trace);
	if (trace->what == TRACE_PAUSED)
		memcpy(server->state.paused_reason, trace->detail,
		       sizeof(server->state.paused_reason));
	if (server->event_ring.subscribers > 0)
		tell_subscribers(server, event_ring_at(&server->event_ring, id));
	if (server->log_ring.log.level < LOG_INFO)
		return;
	event_encode_log(&line, trace, &server->active.settings.core);
	log_write(&server->log_ring.log, LOG_INFO, line.bytes, NULL, 0);
}

void deliver_line(void *ctx, const struct log_ring_line *line)
{
	struct server *server = ctx;

	if (server->log_ring.subscribers == 0)
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

void deliver_render_line(struct text *scratch, struct text *out, const struct log_ring_line *line)
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
		log_write(&server->log_ring.log, LOG_INFO, "journal works again; granting", NULL,
			  0);
		keep_secrets(server);
	} else if (trouble[0]) {
		log_event(&server->log_ring.log, LOG_ERROR,
			  "the journal is lost: nothing new is granted until it can be begun anew; "
			  "trying",
			  log_str("why", trouble), log_int("in_ms", BROKER_RETRY_MS));
	} else {
		log_event(&server->log_ring.log, LOG_ERROR,
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

void deliver_keepalive(struct endpoints *endpoints)
{
	cleanup_text struct text comment = {0};

	http_encode_sse_keepalive(&comment);
	endpoints_keepalive(endpoints, &comment);
}
