/* metrics_encode: Prometheus text (exposition format 0.0.4) of the core's counters and GPUs. Keeps
 * no counter itself. Called by the server for GET /metrics. */
#include <stdio.h>

#include "base/histogram.h"
#include "base/text.h"
#include "core/config.h"
#include "wire/metrics_encode.h"

static void add_escaped(struct text *out, const char *value, bool in_label)
{
	for (; *value; value++) {
		if (*value == '\\')
			text_add(out, "\\\\", 2);
		else if (*value == '\n')
			text_add(out, "\\n", 2);
		else if (*value == '"' && in_label)
			text_add(out, "\\\"", 2);
		else
			text_char(out, *value);
	}
}

void metrics_encode_head(struct text *out, const char *name, const char *type, const char *help)
{
	text_format(out, "# HELP %s ", name);
	add_escaped(out, help, false);
	text_format(out, "\n# TYPE %s %s\n", name, type);
}

void metrics_encode_value(struct text *out, const char *name, const char *label,
			  const char *label_value, double value)
{
	text_str(out, name);
	if (label) {
		text_format(out, "{%s=\"", label);
		add_escaped(out, label_value, true);
		text_str(out, "\"}");
	}
	text_format(out, " %.15g\n", value);
}

static void add_metric(struct text *out, const char *name, const char *type, const char *help,
		       uint64_t value)
{
	metrics_encode_head(out, name, type, help);
	metrics_encode_value(out, name, NULL, NULL, (double)value);
}

void metrics_encode(struct text *out, const struct core_stats *stats)
{
	static const char granted[] = "baton_granted_total", ended[] = "baton_ended_total",
			  would_wait[] = "baton_would_wait_total";

	metrics_encode_head(out, granted, "counter", "Leases granted, by class.");
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		metrics_encode_value(out, granted, "class", lease_class_name(cls),
				     (double)stats->granted[cls]);

	metrics_encode_head(out, would_wait, "counter",
			    "Of these, granted in observe mode though the rules would have let "
			    "them wait, by class.");
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		metrics_encode_value(out, would_wait, "class", lease_class_name(cls),
				     (double)stats->would_wait[cls]);

	metrics_encode_head(out, ended, "counter", "Claims ended, by reason.");
	for (int end = END_NONE + 1; end < END_REASON_COUNT; end++)
		metrics_encode_value(out, ended, "reason", end_reason_name(end),
				     (double)stats->ended[end]);

	add_metric(out, "baton_yields_total", "counter", "Holders asked to give way.",
		   stats->yields);
	add_metric(out, "baton_revokes_total", "counter", "Leases taken by force.", stats->revokes);
	add_metric(out, "baton_acks_missed_total", "counter", "Offers not accepted in time.",
		   stats->acks_missed);
	add_metric(out, "baton_stale_total", "counter", "Requests with a dead token.",
		   stats->stale);
	add_metric(out, "baton_waiting", "gauge", "Claims in the queue.", stats->waiting);
	add_metric(out, "baton_held", "gauge", "Leases held.", stats->held);
	add_metric(out, "baton_sessions", "gauge", "Sessions known.", stats->sessions);
	add_metric(out, "baton_observe", "gauge", "1 in observe mode: nothing is enforced.",
		   stats->observe);
	add_metric(out, "baton_paused", "gauge", "1 while an operator paused grants.",
		   stats->paused);
	add_metric(out, "baton_journal_ok", "gauge", "0 while the journal cannot be written.",
		   stats->journal_ok);
	add_metric(out, "baton_epoch", "gauge", "Rises with each start.", stats->epoch);
	add_metric(out, "baton_fence", "gauge", "Newest fence.", stats->fence);
}

static void histogram_row(struct text *out, const char *name, const char *cls, const char *limit,
			  uint64_t count)
{
	text_format(out, "%s_bucket{class=\"%s\",le=\"%s\"} %.15g\n", name, cls, limit,
		    (double)count);
}

static void one_histogram(struct text *out, const char *name, const char *cls,
			  const struct histogram *histogram)
{
	uint64_t below = 0;
	char limit[32], series[64];
	for (size_t i = 0; i < HISTOGRAM_LIMITS; i++) {
		below += histogram->counts[i];
		snprintf(limit, sizeof(limit), "%g", (double)histogram_limits_ms[i] / 1000);
		histogram_row(out, name, cls, limit, below);
	}
	below += histogram->counts[HISTOGRAM_LIMITS];
	histogram_row(out, name, cls, "+Inf", below);
	snprintf(series, sizeof(series), "%s_sum", name);
	metrics_encode_value(out, series, "class", cls, (double)histogram->sum_ms / 1000);
	snprintf(series, sizeof(series), "%s_count", name);
	metrics_encode_value(out, series, "class", cls, (double)below);
}

void metrics_encode_histograms(struct text *out, const char *name, const char *help,
			       const struct histogram *by_class)
{
	metrics_encode_head(out, name, "histogram", help);
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++)
		one_histogram(out, name, lease_class_name(cls), &by_class[cls]);
}

void metrics_encode_grants(struct text *out, enum grants grants, int64_t left_ms)
{
	static const char name[] = "baton_grants_stopped";
	metrics_encode_head(out, name, "gauge", "1: nothing is granted, for this reason.");
	for (int reason = GRANTS_ALLOWED + 1; reason < GRANTS_COUNT; reason++)
		metrics_encode_value(out, name, "reason", grants_name(reason),
				     (int)grants == reason);
	metrics_encode_head(out, "baton_in_doubt_seconds", "gauge",
			    "Until grants begin after the record of holders was lost.");
	metrics_encode_value(out, "baton_in_doubt_seconds", NULL, NULL,
			     grants == GRANTS_IN_DOUBT ? (double)left_ms / 1000 : 0);
}

static void gpu_metric(struct text *out, const char *name, const char *help,
		       const struct gpu_view *gpus, size_t count,
		       double (*value)(const struct gpu_view *gpu))
{
	metrics_encode_head(out, name, "gauge", help);
	for (size_t i = 0; i < count; i++) {
		double number = value(&gpus[i]);
		if (number >= 0)
			metrics_encode_value(out, name, "gpu", gpus[i].config->name, number);
	}
}

static double slots_used(const struct gpu_view *gpu)
{
	return gpu->slots_used;
}

static double vram_total(const struct gpu_view *gpu)
{
	return gpu->config->vram_known ? (double)gpu->config->vram_bytes_total : -1;
}

static double vram_granted(const struct gpu_view *gpu)
{
	return (double)gpu->vram_bytes_granted;
}

static double vram_used(const struct gpu_view *gpu)
{
	return gpu->used_known ? (double)gpu->vram_bytes_used : -1;
}

static double vram_unmanaged(const struct gpu_view *gpu)
{
	return gpu->used_known ? (double)gpu->vram_bytes_unmanaged : -1;
}

static double gpu_is_healthy(const struct gpu_view *gpu)
{
	return gpu->healthy;
}

void metrics_encode_gpus(struct text *out, const struct gpu_view *gpus, size_t count)
{
	gpu_metric(out, "baton_gpu_slots_used", "Compute turns taken.", gpus, count, slots_used);
	gpu_metric(out, "baton_gpu_vram_bytes", "VRAM in all; absent: unknown.", gpus, count,
		   vram_total);
	gpu_metric(out, "baton_gpu_vram_granted_bytes", "VRAM of leases.", gpus, count,
		   vram_granted);
	gpu_metric(out, "baton_gpu_vram_used_bytes", "VRAM measured in use; absent: unknown.", gpus,
		   count, vram_used);
	gpu_metric(out, "baton_gpu_vram_unmanaged_bytes", "VRAM used by nobody Baton knows.", gpus,
		   count, vram_unmanaged);
	gpu_metric(out, "baton_gpu_healthy", "0: not granted to anybody.", gpus, count,
		   gpu_is_healthy);
}
