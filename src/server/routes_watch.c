/* routes_watch: what people and monitors read: status, events, health, metrics, log lines. */
#include <stdlib.h>
#include <string.h>

#include "server/facts.h"
#include "server/routes.h"
#include "server/shell.h"
#include "wire/render.h"

void route_status(struct shell *shell, const struct asked *asked)
{
	uint64_t limit = UINT64_MAX;
	(void)route_query_u64(asked->request->query, "limit", &limit);
	door_open(&shell->doors, asked->request->conn, DOOR_LISTING, asked->verdict.allow_origin);
	(void)listing_begin(shell, asked->request->conn, false, limit);
}

void route_events(struct shell *shell, const struct asked *asked)
{
	const struct http_request *request = asked->request;
	struct observers *observers = &shell->observers;
	uint64_t last = observers->change_next - 1;
	if (request->last_event_id)
		last = strtoull(request->last_event_id, NULL, 10);
	(void)route_query_u64(request->query, "since", &last);
	if (last == 0) /* all that is remembered: what was forgotten before is no gap */
		last = observe_change_oldest(observers) - 1;
	if (last >= observers->change_next) /* of a broker that was ahead of us: not ours */
		last = observers->change_next - 1;
	struct door *door =
		door_open(&shell->doors, request->conn, DOOR_FEED, asked->verdict.allow_origin);
	door->sent = last;
	respond_stream(shell->doors.net, request->conn, door->origin, "text/event-stream");
	if (routes_is_head(asked)) {
		door_shut(&shell->doors, door);
		http_stream_end(shell->doors.net, request->conn);
	}
}

void route_health(struct shell *shell, const struct asked *asked)
{
	struct core_stats stats;
	core_stats(shell->broker.core, &stats);
	text_clear(&shell->body);
	text_char(&shell->body, '{');
	text_json_str(&shell->body, "status", shell->draining ? "draining" : "ok");
	text_json_str(&shell->body, "version", BATON_VERSION);
	text_json_bool(&shell->body, "journal", stats.journal_ok);
	text_json_bool(&shell->body, "paused", stats.paused);
	int64_t left_ms;
	enum grants grants = core_grants(shell->broker.core, shell->broker.now, &left_ms);
	render_grants(&shell->body, grants, left_ms, facts_grants_detail(shell, grants));
	text_json_u64(&shell->body, "epoch", stats.epoch);
	text_char(&shell->body, '}');
	routes_json(shell, asked, shell->draining ? 503 : 200);
}

static void add_own_metrics(struct shell *shell, struct text *out)
{
	const struct broker *broker = &shell->broker;
	const struct {
		const char *name, *type, *help;
		double value;
	} rows[] = {
		{"baton_uptime_seconds", "gauge", "Time since the daemon began.",
		 (double)mono_since(broker->now, shell->started) / 1000},
		{"baton_connections", "gauge", "Open connections.",
		 net_connection_count(shell->doors.net)},
		{"baton_requests_total", "counter", "HTTP requests.", (double)shell->requests},
		{"baton_turns_total", "counter", "Turns of the loop.", (double)broker->turns},
		{"baton_turn_seconds_max", "gauge", "The longest turn since the daemon began.",
		 (double)shell->turn_ms_max / 1000},
		{"baton_journal_commits_total", "counter", "Transactions of the journal.",
		 (double)broker->commits},
		{"baton_journal_failures_total", "counter", "Transactions that failed.",
		 (double)broker->commit_failures},
		{"baton_clock_jumps_total", "counter", "Suspends and stalls that were seen.",
		 (double)broker->jumps},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		render_metric_head(out, rows[i].name, rows[i].type, rows[i].help);
		render_metric(out, rows[i].name, NULL, NULL, rows[i].value);
	}
}

void route_metrics(struct shell *shell, const struct asked *asked)
{
	const struct answer answer = {.status = 200,
				      .content_type = "text/plain; version=0.0.4; charset=utf-8"};
	struct gpu_view gpus[LIMIT_GPUS];
	struct core_stats stats;
	uint32_t count = 0;
	text_clear(&shell->body);
	core_stats(shell->broker.core, &stats);
	render_metrics(&shell->body, &stats);
	int64_t left_ms;
	enum grants grants = core_grants(shell->broker.core, shell->broker.now, &left_ms);
	render_grants_metrics(&shell->body, grants, left_ms);
	while (count < LIMIT_GPUS && core_gpu(shell->broker.core, count, &gpus[count]))
		count++;
	render_gpu_metrics(&shell->body, gpus, count);
	render_histograms(&shell->body, "baton_wait_seconds",
			  "How long claims waited until they were granted, by class.",
			  shell->tally.waits);
	render_histograms(&shell->body, "baton_hold_seconds",
			  "How long leases were held, by class.", shell->tally.holds);
	add_own_metrics(shell, &shell->body);
	respond_text(shell->doors.net, asked->request->conn, asked->verdict.allow_origin, &answer,
		     &shell->body);
}

/* {"logs":[{id, time, level, text}..], "next": id}: ask again with since=next. */
void route_logs(struct shell *shell, const struct asked *asked)
{
	const struct observers *o = &shell->observers;
	struct text *out = &shell->body;
	uint64_t limit = 200, since = 0;
	(void)route_query_u64(asked->request->query, "limit", &limit);
	bool from = route_query_u64(asked->request->query, "since", &since);
	uint64_t first = since > o->line_oldest ? since : o->line_oldest;
	if (!from && o->line_next - o->line_oldest > limit)
		first = o->line_next - limit; /* the newest */
	text_clear(out);
	text_str(out, "{\"logs\":[");
	for (uint64_t n = 0; n < limit && first < o->line_next; n++, first++) {
		const struct observed_line *line = observe_line_at(o, first);
		if (!line)
			continue;
		text_json_item(out);
		text_char(out, '{');
		text_json_u64(out, "id", line->id);
		text_json_key(out, "time");
		text_char(out, '"');
		render_time(out, line->at);
		text_char(out, '"');
		text_json_str(out, "level", log_level_name(line->level));
		text_json_str(out, "text", line->text);
		text_char(out, '}');
	}
	text_char(out, ']');
	text_json_u64(out, "next", first);
	text_char(out, '}');
	/* The same address is a page for who accepts text/html. */
	const struct answer answer = {.status = 200, .content_type = "application/json"};
	respond_with(shell->doors.net, asked->request->conn, asked->verdict.allow_origin, &answer,
		     out, "Vary", "Accept");
}

void route_logs_clear(struct shell *shell, const struct asked *asked)
{
	struct answer answer;
	observe_clear_lines(&shell->observers);
	text_clear(&shell->body);
	answer_ok(&shell->body, &answer);
	respond_text(shell->doors.net, asked->request->conn, asked->verdict.allow_origin, &answer,
		     &shell->body);
}
