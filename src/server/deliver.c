/* deliver: from effects to whoever they are for. Decides nothing about leases. Called by broker.c
 * after the commit. What a message becomes on the way to its endpoint is that kind's own affair,
 * see endpoint_ops.h. */
#include "server/deliver.h"

#include "base/text.h"
#include "core/effect.h"
#include "net/session.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/inference/inference.h"
#include "server/journal_watch.h"
#include "server/monitor/position_updates.h"
#include "server/monitor/traces.h"
#include "server/process_tracker.h"
#include "wire/http_encode.h"

enum { KEEPALIVE_MS = 15 * 1000 };

/* What was said to a connection that is gone is dropped, whoever resumed its session meanwhile. */
static void on_send(void *ctx, struct party to, const struct send_effect *send)
{
	const struct deliver *deliver = ctx;
	if (to.kind == PARTY_GATEWAY)
		inference_send(deliver->inference, to, send);
	else
		endpoints_send(deliver->endpoints, to.id, send);
}

void deliver_place(void *ctx, struct party to, const struct send_effect *queued)
{
	on_send(ctx, to, queued);
}

static void on_trace(void *ctx, const struct trace_effect *trace)
{
	const struct deliver *deliver = ctx;
	traces_note(deliver->traces, trace);
}

static void on_signal(void *ctx, const struct signal_effect *signal)
{
	const struct deliver *deliver = ctx;
	process_tracker_signal(deliver->tracker, signal->session, signal->signo);
}

static void on_close(void *ctx, struct party to)
{
	const struct deliver *deliver = ctx;
	net_session_close(deliver->endpoints->net, to.id, 1000, "the session ended here");
}

static void on_appended(void *ctx, const struct record *record)
{
	const struct deliver *deliver = ctx;
	if (record->type == RECORD_SESSION_PUT)
		process_tracker_watch(deliver->tracker, &record->session);
	else if (record->type == RECORD_SESSION_END)
		process_tracker_forget(deliver->tracker, record->session.id);
}

static void on_queue_changed(void *ctx)
{
	const struct deliver *deliver = ctx;
	deliver->position_updates->dirty = true;
}

static void on_journal(void *ctx, bool ok)
{
	const struct deliver *deliver = ctx;
	journal_watch_changed(deliver->journal, ok);
}

struct broker_out deliver_out(struct deliver *deliver)
{
	return (struct broker_out){.send = on_send,
				   .trace = on_trace,
				   .signal = on_signal,
				   .close = on_close,
				   .appended = on_appended,
				   .queue_changed = on_queue_changed,
				   .journal = on_journal,
				   .ctx = deliver};
}

struct mono_ms deliver_keepalive(struct deliver *deliver, struct mono_ms now)
{
	cleanup_text struct text comment = {0};

	if (endpoints_stream_count(deliver->endpoints) == 0) {
		deliver->keepalive_at = mono_after(now, KEEPALIVE_MS);
		return MONO_NEVER;
	}

	if (mono_due(deliver->keepalive_at, now)) {
		http_encode_sse_keepalive(&comment);
		endpoints_keepalive(deliver->endpoints, &comment);
		deliver->keepalive_at = mono_after(now, KEEPALIVE_MS);
	}
	return deliver->keepalive_at;
}
