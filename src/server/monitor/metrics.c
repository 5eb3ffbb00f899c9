/* metrics: see metrics.h. */
#include "server/monitor/metrics.h"

#include "core/config.h"
#include "server/broker.h"
#include "server/endpoints.h"
#include "server/gpus/gpu_board.h"
#include "server/monitor/monitor.h"
#include "server/monitor/tally.h"
#include "server/run_state.h"
#include "wire/metrics_encode.h"

static void add_own_metrics(const struct monitor *monitor, struct text *out)
{
	const struct broker *broker = monitor->broker;
	const struct {
		const char *name, *type, *help;
		double value;
	} rows[] = {
		{"baton_uptime_seconds", "gauge", "Time since the daemon began.",
		 (double)mono_since(broker->now, monitor->state->started) / 1000},
		{"baton_connections", "gauge", "Open connections.",
		 net_connection_count(monitor->endpoints->net)},
		{"baton_requests_total", "counter", "HTTP requests.",
		 (double)monitor->state->requests},
		{"baton_turns_total", "counter", "Turns of the loop.", (double)broker->turns},
		{"baton_turn_seconds_max", "gauge", "The longest turn since the daemon began.",
		 (double)monitor->state->turn_ms_max / 1000},
		{"baton_journal_commits_total", "counter", "Transactions of the journal.",
		 (double)broker->commits},
		{"baton_journal_failures_total", "counter", "Transactions that failed.",
		 (double)broker->commit_failures},
		{"baton_clock_jumps_total", "counter", "Suspends and stalls that were seen.",
		 (double)broker->jumps},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		metrics_encode_head(out, rows[i].name, rows[i].type, rows[i].help);
		metrics_encode_value(out, rows[i].name, NULL, NULL, rows[i].value);
	}
}

/* Whoever collects figures for ever wakes nothing by it. */
static void add_measured(const struct monitor *monitor, struct text *out,
			 const struct gpu_view *gpus, uint32_t count)
{
	const char *names[LIMIT_GPUS];
	bool measured = false;

	for (uint32_t i = 0; i < count; i++) {
		names[i] = gpus[i].config->name;
		measured |= monitor->gpus && monitor->gpus->v[i].measured;
	}
	if (measured)
		gpu_encode_metrics(out, monitor->gpus->v, names, count, monitor->broker->now);
}

void metrics_write(const struct monitor *monitor, struct text *out)
{
	struct gpu_view gpus[LIMIT_GPUS];
	struct core_stats stats;
	struct mono_ms now = monitor->broker->now;
	uint32_t count = 0;

	core_stats(monitor->broker->core, &stats);
	metrics_encode(out, &stats);

	int64_t left_ms;
	enum grants grants = core_grants(monitor->broker->core, now, &left_ms);
	metrics_encode_grants(out, grants, left_ms);

	for (; count < LIMIT_GPUS && core_gpu(monitor->broker->core, count, &gpus[count]); count++)
		gpus[count].used_known &= mono_before(now, gpus[count].used_until);
	metrics_encode_gpus(out, gpus, count);
	add_measured(monitor, out, gpus, count);

	metrics_encode_histograms(out, "baton_wait_seconds",
				  "How long claims waited until they were granted, by class.",
				  monitor->tally->waits);
	metrics_encode_histograms(out, "baton_hold_seconds", "How long leases were held, by class.",
				  monitor->tally->holds);
	add_own_metrics(monitor, out);
}
