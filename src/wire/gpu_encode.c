/* gpu_encode: see gpu_encode.h. */
#include "wire/gpu_encode.h"

#include <inttypes.h>
#include <stdio.h>

#include "json/json_writer.h"
#include "wire/metrics_encode.h"

enum { MIB = 1024 * 1024 };

static void add_number(struct text *out, const char *key, bool known, int64_t value)
{
	text_json_key(out, key);
	if (known)
		text_i64(out, value);
	else
		text_str(out, "null");
}

static void add_watts(struct text *out, bool known, uint32_t power_mw)
{
	text_json_key(out, "power_w");
	if (known)
		text_seconds(out, power_mw); /* thousandths, too */
	else
		text_str(out, "null");
}

static void add_container(struct text *out, const struct gpu_process_row *row)
{
	text_json_key(out, "container");
	text_char(out, '{');
	text_json_str(out, "runtime", row->container_runtime);
	text_json_str(out, "id", row->container_id);
	if (row->container_pid > 0)
		text_json_i64(out, "pid", row->container_pid);
	text_char(out, '}');
}

static void add_process(struct text *out, const struct gpu_process_row *row, struct mono_ms now)
{
	text_json_item(out);
	text_char(out, '{');
	add_number(out, "pid", row->pid > 0, row->pid);
	text_json_str(out, "command", row->command[0] ? row->command : NULL);
	text_json_str(out, "use", row->use);
	add_number(out, "vram_mb", row->bytes_known, (int64_t)(row->vram_bytes / MIB));
	text_json_seconds(out, "since_s", mono_since(now, row->since));

	if (row->session) {
		text_json_u64(out, "session", row->session);
		text_json_str(out, "client", row->client);
	}
	if (row->lease)
		text_json_u64(out, "lease", row->lease);
	if (row->container_id[0])
		add_container(out, row);
	if (row->condition) {
		text_json_str(out, "condition", row->condition);
		text_json_str(out, "condition_text", row->condition_text);
	}
	text_char(out, '}');
}

static void add_processes(struct text *out, const struct gpu_figures *figures, struct mono_ms now)
{
	text_json_bool(out, "processes_known", figures->processes_known);
	if (figures->processes_partial)
		text_json_bool(out, "processes_partial", true);
	if (figures->pids_foreign)
		text_json_bool(out, "pids_foreign", true);
	if (figures->left_off > 0)
		text_json_u64(out, "processes_left_off", figures->left_off);

	text_json_key(out, "processes");
	text_char(out, '[');
	for (size_t i = 0; i < figures->process_count; i++)
		add_process(out, &figures->processes[i], now);
	text_char(out, ']');
}

static void add_cgroups(struct text *out, const struct gpu_figures *figures)
{
	if (figures->cgroup_count == 0)
		return;
	text_json_key(out, "cgroups");
	text_char(out, '[');
	for (size_t i = 0; i < figures->cgroup_count; i++) {
		const struct gpu_cgroup_row *row = &figures->cgroups[i];

		text_json_item(out);
		text_char(out, '{');
		text_json_u64(out, "session", row->session);
		text_json_str(out, "client", row->client);
		if (row->lease)
			text_json_u64(out, "lease", row->lease);
		add_number(out, "vram_mb", true, (int64_t)(row->vram_bytes / MIB));
		add_number(out, "vram_mb_max", row->vram_bytes_max != UINT64_MAX,
			   (int64_t)(row->vram_bytes_max / MIB));
		text_char(out, '}');
	}
	text_char(out, ']');
}

static void add_identity(struct text *out, const struct gpu_figures *figures)
{
	text_json_str(out, "source", figures->source);
	text_json_str(out, "model", figures->model);
	if (figures->pci[0])
		text_json_str(out, "pci", figures->pci);
	if (figures->nvml_index >= 0)
		text_json_i64(out, "nvml_index", figures->nvml_index);
	if (figures->cuda_index >= 0)
		text_json_i64(out, "cuda_index", figures->cuda_index);
	if (figures->parent[0])
		text_json_str(out, "parent", figures->parent);
	if (figures->unified)
		text_json_bool(out, "unified", true);
}

void gpu_encode_measured(struct text *out, const struct gpu_figures *figures, struct mono_ms now,
			 bool own)
{
	int64_t age_ms = figures->read_at.v == MONO_PAST.v ? -1 : mono_since(now, figures->read_at);

	text_json_key(out, "measured");
	text_char(out, '{');
	add_identity(out, figures);
	text_json_str(out, "state", figures->state);
	if (figures->text[0])
		text_json_str(out, "text", figures->text);
	if (figures->detail[0])
		text_json_str(out, "detail", figures->detail);
	text_json_seconds_or_null(out, "age_s", age_ms);

	add_number(out, "vram_mb_free", figures->memory_known,
		   (int64_t)(figures->free_bytes / MIB));
	add_number(out, "vram_mb_reserved", figures->reserved_known,
		   (int64_t)(figures->reserved_bytes / MIB));
	add_number(out, "utilisation_percent", figures->utilisation_known,
		   figures->utilisation_percent);
	if (figures->utilisation_known)
		text_json_seconds(out, "idle_s", figures->idle_ms);
	add_number(out, "temperature_c", figures->temperature_known, figures->temperature_c);
	add_watts(out, figures->power_known, figures->power_mw);
	if (!own) {
		add_processes(out, figures, now);
		add_cgroups(out, figures);
	}
	text_char(out, '}');
}

/* One gauge over all GPUs; where it is `absent` it is left out. */
struct gauge {
	const char *name, *help;
	double (*value)(const struct gpu_figures *figures, struct mono_ms now);
};

static const double absent = -1e9;

static double free_value(const struct gpu_figures *figures, struct mono_ms now)
{
	(void)now;
	return figures->memory_known ? (double)figures->free_bytes : absent;
}

static double reserved_value(const struct gpu_figures *figures, struct mono_ms now)
{
	(void)now;
	return figures->reserved_known ? (double)figures->reserved_bytes : absent;
}

static double utilisation_value(const struct gpu_figures *figures, struct mono_ms now)
{
	(void)now;
	return figures->utilisation_known ? figures->utilisation_percent / 100.0 : absent;
}

static double temperature_value(const struct gpu_figures *figures, struct mono_ms now)
{
	(void)now;
	return figures->temperature_known ? figures->temperature_c : absent;
}

static double power_value(const struct gpu_figures *figures, struct mono_ms now)
{
	(void)now;
	return figures->power_known ? figures->power_mw / 1000.0 : absent;
}

static double age_value(const struct gpu_figures *figures, struct mono_ms now)
{
	return figures->read_at.v == MONO_PAST.v
		       ? absent
		       : (double)mono_since(now, figures->read_at) / 1000.0;
}

static const struct gauge gauges[] = {
	{"baton_gpu_vram_free_bytes", "VRAM measured free; absent: unknown.", free_value},
	{"baton_gpu_vram_reserved_bytes", "VRAM that the driver reserves; absent: unknown.",
	 reserved_value},
	{"baton_gpu_utilisation_ratio", "Part of the time in which it computed; absent: unknown.",
	 utilisation_value},
	{"baton_gpu_temperature_celsius", "Temperature; absent: unknown.", temperature_value},
	{"baton_gpu_power_watts", "Power drawn; absent: unknown.", power_value},
	{"baton_gpu_sample_age_seconds", "Age of the newest good reading.", age_value},
};

static void add_label(struct text *out, const char *key, const char *value, bool first)
{
	text_format(out, "%s%s=\"", first ? "{" : ",", key);
	for (const char *c = value; *c; c++)
		text_format(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c == '\n' ? ' ' : *c);
	text_char(out, '"');
}

static void add_process_metrics(struct text *out, const struct gpu_figures *figures,
				const char *gpu)
{
	for (size_t i = 0; i < figures->process_count; i++) {
		const struct gpu_process_row *row = &figures->processes[i];
		char pid[24], lease[24] = "";
		if (row->pid <= 0 || !row->bytes_known)
			continue;

		(void)snprintf(pid, sizeof(pid), "%" PRIi64, row->pid);
		if (row->lease)
			(void)snprintf(lease, sizeof(lease), "%" PRIu64, row->lease);
		text_str(out, "baton_gpu_process_vram_bytes");
		add_label(out, "gpu", gpu, true);
		add_label(out, "pid", pid, false);
		add_label(out, "command", row->command, false);
		add_label(out, "client", row->client, false);
		add_label(out, "lease", lease, false);
		text_format(out, "} %" PRIu64 "\n", row->vram_bytes);
	}
}

static void add_cgroup_metric(struct text *out, const char *name, const char *gpu,
			      const struct gpu_cgroup_row *row, uint64_t bytes)
{
	char session[24], lease[24] = "";

	(void)snprintf(session, sizeof(session), "%" PRIu64, row->session);
	if (row->lease)
		(void)snprintf(lease, sizeof(lease), "%" PRIu64, row->lease);
	text_str(out, name);
	add_label(out, "gpu", gpu, true);
	add_label(out, "session", session, false);
	add_label(out, "client", row->client, false);
	add_label(out, "lease", lease, false);
	text_format(out, "} %" PRIu64 "\n", bytes);
}

static void add_cgroup_metrics(struct text *out, const struct gpu_figures *figures,
			       const char *const *names, size_t count, bool limits)
{
	const char *name =
		limits ? "baton_gpu_cgroup_vram_max_bytes" : "baton_gpu_cgroup_vram_bytes";

	metrics_encode_head(
		out, name, "gauge",
		limits ? "Limit of the cgroup of a job; absent: none, or unknown."
		       : "VRAM of the cgroup of a job, as the kernel or driver counts it.");
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; figures[i].measured && j < figures[i].cgroup_count; j++) {
			const struct gpu_cgroup_row *row = &figures[i].cgroups[j];
			uint64_t bytes = limits ? row->vram_bytes_max : row->vram_bytes;
			if (!limits || bytes != UINT64_MAX)
				add_cgroup_metric(out, name, names[i], row, bytes);
		}
}

void gpu_encode_metrics(struct text *out, const struct gpu_figures *figures,
			const char *const *names, size_t count, struct mono_ms now)
{
	for (size_t g = 0; g < sizeof(gauges) / sizeof(*gauges); g++) {
		metrics_encode_head(out, gauges[g].name, "gauge", gauges[g].help);
		for (size_t i = 0; i < count; i++) {
			double value =
				figures[i].measured ? gauges[g].value(&figures[i], now) : absent;
			if (value > absent)
				metrics_encode_value(out, gauges[g].name, "gpu", names[i], value);
		}
	}

	metrics_encode_head(out, "baton_gpu_process_vram_bytes", "gauge",
			    "VRAM by process, and for which lease; without one it works for none.");
	for (size_t i = 0; i < count; i++)
		if (figures[i].measured)
			add_process_metrics(out, &figures[i], names[i]);

	add_cgroup_metrics(out, figures, names, count, false);
	add_cgroup_metrics(out, figures, names, count, true);
}
