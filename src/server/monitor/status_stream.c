/* status_stream: walks the core's views for GET /v1/gpu/status and the `status` message, part by
 * part. Asks, never changes. Called by the route, the sessions and once per loop turn. */
#include "server/monitor/status_stream.h"
#include "process/proc.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "core/estimate.h"
#include "core/record.h"
#include "net/http_reply.h"
#include "net/loop.h"
#include "net/session.h"
#include "process/proc_parse.h"
#include "server/broker.h"
#include "server/endpoint_ops.h"
#include "server/gpus/gpu_board.h"
#include "server/message_context.h"
#include "server/monitor/monitor.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "wire/http_encode.h"
#include "wire/sight.h"
#include "wire/status_encode.h"

struct status_stream {
	struct list link; /* streams.all */
	struct status_encoder render;
	struct text text;
	uint64_t conn, limit;
	bool own; /* only what is of this session, which has no number before its welcome */
	uint64_t session;
	uint64_t after;    /* holders: id of the last row */
	uint32_t position; /* waiters: the next row */
	bool as_message, begun;
	struct sight sight;
	char principal[LIMIT_PRINCIPAL_BYTES + 1]; /* of `sight` */
	struct mono_ms patience; /* until then it waits for figures that are being read */
};

void status_streams_init(struct status_streams *streams, const struct monitor *monitor)
{
	*streams = (struct status_streams){.monitor = monitor};
	list_init(&streams->all);
}

static void destroy_stream(struct status_streams *streams, struct status_stream *stream)
{
	list_remove(&stream->link);
	streams->count--;
	status_encode_finish(&stream->render);
	text_finish(&stream->text);
	free(stream);
}

void status_streams_finish(struct status_streams *streams)
{
	list_each (it, next, &streams->all)
		destroy_stream(streams, container_of(it, struct status_stream, link));
}

static struct status_stream *status_stream_of(const struct status_streams *streams, uint64_t conn)
{
	list_each (it, next, &streams->all) {
		struct status_stream *stream = container_of(it, struct status_stream, link);
		if (stream->conn == conn)
			return stream;
	}
	return NULL;
}

void status_stream_drop(struct status_streams *streams, uint64_t conn)
{
	struct status_stream *stream = status_stream_of(streams, conn);
	if (stream)
		destroy_stream(streams, stream);
}

static bool is_shown(const struct status_stream *stream, const struct claim_view *view)
{
	return !stream->own || (stream->session && view->rec->session == stream->session);
}

static bool add_waiter(const struct monitor *monitor, struct status_stream *stream)
{
	const struct core *core = monitor->broker->core;
	struct mono_ms now = monitor->broker->now;
	struct claim_view view;
	struct why why;

	if (stream->position >= stream->limit ||
	    !core_waiter_at(core, stream->position, now, &view))
		return false;
	if (!is_shown(stream, &view)) {
		stream->position++;
		return true;
	}

	if (stream->render.part == STATUS_PART_QUEUED) {
		status_encode_queued(&stream->render, &view);
	} else if (stream->render.part == STATUS_PART_START_TIMES) {
		status_encode_start_time(&stream->render, &view);
	} else {
		uint64_t id = view.rec->id;
		char names[MESSAGE_NAMES_BYTES];
		core_why(core, id, now, &why);
		struct status_wait wait = {
			.position = stream->position,
			.why = &why,
			.holder_name = message_context_in_the_way(core, &why, now, names)};
		message_context_told(core, id, now, monitor->broker->wall, &wait.told);
		status_encode_waiter(&stream->render, &view, now, monitor->config, &wait);
	}

	stream->position++;
	return true;
}

/* Nothing under such a lease goes on, and its session says no word. */
static bool is_stopped(const struct claim_view *view)
{
	struct proc_stat stat;
	return view->pid > 0 && proc_stat(view->pid, &stat) && stat.state == 'T' &&
	       (view->pid_start == 0 || stat.start == view->pid_start);
}

static bool add_holder(const struct monitor *monitor, struct status_stream *stream)
{
	const struct core *core = monitor->broker->core;
	struct mono_ms now = monitor->broker->now;
	struct claim_view view;
	if (!core_holder_after(core, stream->after, now, &view))
		return false;
	stream->after = view.rec->id;
	if (!is_shown(stream, &view))
		return true;
	view.stopped = is_stopped(&view);
	status_encode_lease(&stream->render, &view, now, monitor->config,
			    message_context_name(core, view.yield_for, now));
	return true;
}

static bool add_gpu(const struct monitor *monitor, struct status_stream *stream)
{
	uint32_t index = stream->position;
	struct gpu_view gpu;
	if (!core_gpu(monitor->broker->core, index, &gpu))
		return false;

	const struct status_measured measured = {.figures = monitor->gpus ? &monitor->gpus->v[index]
									  : NULL,
						 .now = monitor->broker->now,
						 .own = stream->own};
	status_encode_gpu(&stream->render, index, &gpu, &measured);
	stream->position++;
	return true;
}

/* Right before the first row, and not as soon as it is asked: what else was read in the same turn,
 * or while figures were awaited, would be in the rows and not in the counts. */
static void add_head(const struct monitor *monitor, struct status_stream *stream)
{
	struct core_stats stats;
	struct claim_view holder;

	core_stats(monitor->broker->core, &stats);
	struct status_head head = {
		.stats = &stats,
		.version = BATON_VERSION,
		.paused_reason = monitor->state->paused_reason,
		.uptime_ms = mono_since(monitor->broker->now, monitor->state->started),
		.wall = monitor->broker->wall,
		.draining = monitor->state->draining,
	};

	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		core_waits(monitor->broker->core, (enum lease_class)cls, &head.waits[cls]);
	head.grants =
		core_grants(monitor->broker->core, monitor->broker->now, &head.grants_left_ms);
	head.grants_detail =
		message_context_grants_detail(monitor->broker->store, monitor->state, head.grants);
	if (!stream->own &&
	    core_holder_after(monitor->broker->core, 0, monitor->broker->now, &holder))
		head.owner = holder.rec->name;

	status_encode_begin(&stream->render, &stream->text, &head, stream->as_message);
	stream->render.sight = &stream->sight;
}

/* One row; false: the whole status is written. */
static bool add_row(const struct monitor *monitor, struct status_stream *stream)
{
	bool added = false;

	switch (stream->render.part) {
	case STATUS_PART_GPUS:
		added = add_gpu(monitor, stream);
		break;
	case STATUS_PART_LEASES:
		added = add_holder(monitor, stream);
		break;
	case STATUS_PART_QUEUED:
	case STATUS_PART_START_TIMES:
	case STATUS_PART_WAITING:
		added = add_waiter(monitor, stream);
		break;
	case STATUS_PART_HEAD:
		add_head(monitor, stream);
		break;
	case STATUS_PART_END:
		return false;
	}

	if (!added) {
		stream->position = 0;
		stream->after = 0;
		status_encode_next(&stream->render);
	}
	return true;
}

/* True: there is more to write. */
static bool add_slice(const struct monitor *monitor, struct status_stream *stream,
		      struct mono_ms end)
{
	do {
		for (int n = 0; n < LISTING_ROWS_PER_LOOK; n++)
			if (!add_row(monitor, stream))
				return false;
	} while (mono_before(loop_now(), end));
	return true;
}

/* A status that fits into one slice has a length; a longer one is a stream. */
static void send_http(const struct monitor *monitor, struct status_stream *stream, bool more)
{
	struct net *net = monitor->endpoints->net;
	struct endpoint *endpoint = endpoint_of(monitor->endpoints, stream->conn);
	const char *origin = endpoint ? endpoint->origin : NULL;
	const struct http_answer answer = {.status = 200, .content_type = "application/json"};

	if (!stream->begun && !more) {
		respond_text(net, stream->conn, origin, &answer, &stream->text);
		return;
	}

	if (!stream->begun)
		respond_stream(net, stream->conn, origin, answer.content_type);
	stream->begun = true;
	http_stream_write(net, stream->conn, stream->text.bytes, stream->text.length);
	text_clear(&stream->text);
	if (!more)
		http_stream_end(net, stream->conn);
}

static bool reader_lags(const struct monitor *monitor, const struct status_stream *stream)
{
	return stream->begun &&
	       http_stream_pending(monitor->endpoints->net, stream->conn) > LISTING_PENDING_BYTES;
}

/* The driver was at rest, and answers in a moment. */
static bool figures_awaited(const struct monitor *monitor, const struct status_stream *stream,
			    struct mono_ms now)
{
	return monitor->gpus && (monitor->gpus->awaited || monitor->gpus->look) &&
	       stream->render.part == STATUS_PART_HEAD && !mono_due(stream->patience, now);
}

/* True: there is more to write. The stream is gone otherwise. */
static bool write_slice(struct status_streams *streams, struct status_stream *stream,
			struct mono_ms end)
{
	const struct monitor *monitor = streams->monitor;
	bool more = add_slice(monitor, stream, end);
	uint64_t conn = stream->conn;
	if (!stream->as_message)
		send_http(monitor, stream, more);
	else if (!more)
		net_session_send(monitor->endpoints->net, conn, stream->text.bytes,
				 stream->text.length);
	if (more)
		return true;
	if (!stream->as_message)
		endpoint_shut(monitor->endpoints, endpoint_of(monitor->endpoints, conn));
	destroy_stream(streams, stream);
	return false;
}

static void look_as(struct status_stream *stream, const struct endpoint *endpoint)
{
	const char *principal = endpoint && endpoint->session ? endpoint->session->principal
				: endpoint                    ? endpoint->principal
							      : NULL;

	if (principal)
		snprintf(stream->principal, sizeof(stream->principal), "%s", principal);
	stream->sight = sight_of(principal ? stream->principal : NULL);
}

bool status_stream_begin(struct status_streams *streams, uint64_t conn, bool as_message,
			 uint64_t limit)
{
	const struct monitor *monitor = streams->monitor;
	const struct endpoint *endpoint = endpoint_of(monitor->endpoints, conn);
	bool own = endpoint && endpoint->session && endpoint->session->rights == ACCESS_QUEUE;

	if (status_stream_of(streams, conn))
		return false;
	struct status_stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		abort();

	if (monitor->gpus)
		gpu_board_ask(monitor->gpus, loop_now());
	stream->patience = mono_after(loop_now(), GPU_BOARD_PATIENCE_MS);
	stream->conn = conn;
	stream->as_message = as_message;
	stream->limit = limit;
	stream->own = own;
	stream->session = own ? endpoint->session->id : 0;
	text_init(&stream->text);
	look_as(stream, endpoint);

	list_init(&stream->link);
	list_append(&streams->all, &stream->link);
	streams->count++;
	return true;
}

struct mono_ms status_streams_step(struct status_streams *streams)
{
	const struct monitor *monitor = streams->monitor;
	struct list *all = &streams->all;

	if (streams->count == 0)
		return MONO_NEVER;
	struct mono_ms wake = MONO_NEVER, now = loop_now();
	struct mono_ms end = mono_after(now, LISTING_SLICE_MS);
	for (unsigned left = streams->count; left > 0; left--) {
		struct status_stream *stream = container_of(all->next, struct status_stream, link);
		list_remove(&stream->link);
		list_append(all, &stream->link);
		if (figures_awaited(monitor, stream, now)) {
			wake = mono_min(wake, stream->patience);
			continue;
		}
		if (reader_lags(monitor, stream)) {
			wake = mono_min(wake, mono_after(now, LISTING_LAG_MS));
			continue;
		}
		bool more = write_slice(streams, stream, end);
		if (more || (left > 1 && mono_due(end, loop_now())))
			return now;
	}

	return wake;
}

static void drop_status(void *ctx, struct endpoint *endpoint)
{
	status_stream_drop(ctx, endpoint->conn);
}

const struct endpoint_ops status_stream_ops = {.gone = drop_status};
