/* monitoring_routes: see monitoring_routes.h. Changes nothing but the log ring. What has ended is
 * in history.c. */
#include "server/http/monitoring_routes.h"

#include <stdlib.h>
#include <string.h>

#include "json/json_writer.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "server/broker.h"
#include "server/endpoints.h"
#include "server/message_context.h"
#include "server/monitor/event_ring.h"
#include "server/monitor/log_ring.h"
#include "server/monitor/log_view.h"
#include "server/monitor/metrics.h"
#include "server/monitor/monitor.h"
#include "server/monitor/status_stream.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "wire/http_encode.h"
#include "wire/sight.h"
#include "wire/status_encode.h"

void route_status(struct monitoring_routes *routes, const struct request_context *context)
{
	uint64_t limit = UINT64_MAX;
	(void)route_query_u64(context->request->query, "limit", &limit);
	struct endpoint *endpoint =
		endpoint_open(routes->monitor->endpoints, context->request->conn, ENDPOINT_STATUS,
			      context->verdict.allow_origin);
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	access_principal(&context->verdict.who, principal);
	endpoint_belongs(endpoint, principal);
	(void)status_stream_begin(routes->status_streams, context->request->conn, false, limit);
}

void route_events(struct monitoring_routes *routes, const struct request_context *context)
{
	const struct http_request *request = context->request;
	const struct event_ring *ring = routes->monitor->event_ring;
	uint64_t last = ring->next - 1;

	if (request->last_event_id)
		last = strtoull(request->last_event_id, NULL, 10);
	(void)route_query_u64(request->query, "since", &last);
	if (last == 0) /* all that is remembered: what was forgotten before is no gap */
		last = event_ring_oldest(ring) - 1;
	if (last >= ring->next) /* of a broker that was ahead of us: not ours */
		last = ring->next - 1;

	struct endpoint *endpoint = endpoint_open(routes->monitor->endpoints, request->conn,
						  ENDPOINT_FEED, context->verdict.allow_origin);
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	access_principal(&context->verdict.who, principal);
	endpoint_belongs(endpoint, principal);
	endpoint->sent = last;
	respond_stream(context->net, request->conn, endpoint->origin, "text/event-stream");
	if (respond_is_head(context)) {
		endpoint_shut(routes->monitor->endpoints, endpoint);
		http_stream_end(context->net, request->conn);
	}
}

void route_health(struct monitoring_routes *routes, const struct request_context *context)
{
	cleanup_text struct text body = {0};
	const struct broker *broker = routes->monitor->broker;
	const struct run_state *state = routes->monitor->state;
	struct core_stats stats;

	core_stats(broker->core, &stats);
	text_char(&body, '{');
	text_json_str(&body, "status", state->draining ? "draining" : "ok");
	text_json_str(&body, "version", BATON_VERSION);
	text_json_bool(&body, "journal", stats.journal_ok);
	text_json_bool(&body, "paused", stats.paused);
	text_json_str(&body, "mode", stats.observe ? "observe" : "enforce");

	int64_t left_ms;
	enum grants grants = core_grants(broker->core, broker->now, &left_ms);
	encode_grants(&body, grants, left_ms,
		      message_context_grants_detail(broker->store, state, grants));
	text_json_u64(&body, "epoch", stats.epoch);
	text_char(&body, '}');
	respond_json(context, state->draining ? 503 : 200, &body);
}

void route_metrics(struct monitoring_routes *routes, const struct request_context *context)
{
	const struct http_answer answer = {
		.status = 200, .content_type = "text/plain; version=0.0.4; charset=utf-8"};
	struct text body;

	text_init(&body);
	metrics_write(routes->monitor, &body);
	respond_text(context->net, context->request->conn, context->verdict.allow_origin, &answer,
		     &body);
	text_finish(&body);
}

/* {"logs":[{id, time, level, text}..], "next": id}: ask again with since=next. */
void route_logs(struct monitoring_routes *routes, const struct request_context *context)
{
	cleanup_text struct text body = {0}, shown = {0};
	const struct log_ring *ring = routes->log_ring;
	char principal[LIMIT_PRINCIPAL_BYTES + 1];
	struct text *out = &body;
	uint64_t limit = 200, since = 0;

	access_principal(&context->verdict.who, principal);
	(void)route_query_u64(context->request->query, "limit", &limit);
	bool from = route_query_u64(context->request->query, "since", &since);
	const struct sight sight = sight_of(principal);
	uint64_t first = since > ring->oldest ? since : ring->oldest;
	if (!from && ring->next - ring->oldest > limit)
		first = ring->next - limit; /* the newest */
	text_clear(out);
	text_str(out, "{\"logs\":[");

	for (uint64_t n = 0; n < limit && first < ring->next; n++, first++) {
		const struct log_ring_line *line = log_ring_at(ring, first);
		if (!line)
			continue;
		text_json_item(out);
		text_char(out, '{');
		text_json_u64(out, "id", line->id);
		text_json_key(out, "time");
		text_char(out, '"');
		encode_time(out, line->at);
		text_char(out, '"');
		text_json_str(out, "level", log_level_name(line->level));
		text_clear(&shown);
		log_view_line(line->text, &sight, &shown);
		text_json_str(out, "text", shown.bytes);
		text_char(out, '}');
	}

	text_char(out, ']');
	text_json_u64(out, "next", first);
	text_char(out, '}');
	/* Clients that accept text/html get a page at this address. */
	const struct http_answer answer = {.status = 200, .content_type = "application/json"};
	respond_with(context->net, context->request->conn, context->verdict.allow_origin, &answer,
		     out, "Vary", "Accept");
}

void route_logs_clear(struct monitoring_routes *routes, const struct request_context *context)
{
	cleanup_text struct text body = {0};
	struct http_answer answer;
	log_ring_clear(routes->log_ring);
	http_encode_ok(&body, &answer);
	respond_text(context->net, context->request->conn, context->verdict.allow_origin, &answer,
		     &body);
}
