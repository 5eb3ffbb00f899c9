/* deliver: from effects to bytes. Decides nothing about leases. Called by broker.c after the
 * commit, and by serve.c for what is sent without an effect. What a message becomes on the way to
 * its endpoint is that kind's own affair, see endpoint_ops.h. */
#include "server/deliver.h"

#include <stdlib.h>
#include <string.h>

#include "net/session.h"
#include "server/endpoint_ops.h"
#include "server/server.h"

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

static void on_trace(void *ctx, const struct trace_effect *trace)
{
	struct server *server = ctx;
	traces_note(&server->traces, trace);
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
