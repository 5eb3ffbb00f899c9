/* settings_load: reads the configuration file by libcyaml and checks every value. Does not apply
 * anything. Called at start and on each reload. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/regular_file.h"
#include "config/settings.h"
#include "config/settings_impl.h"
#include "wire/origin.h"

struct loading {
	const char *path, *text;
	size_t length;
	char *detail;
	size_t detail_size;
	char said[256];     /* libcyaml's first complaint */
	unsigned said_line; /* and where */
};

/* "file:line: what", with the line of `key` if the file has it. */
__attribute__((format(printf, 3, 4))) static int refuse(const struct loading *l, const char *key,
							const char *format, ...)
{
	char what[256];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	unsigned line = settings_tree_line(l->text, l->length, key);
	snprintf(l->detail, l->detail_size, "%s:%u: %s: %s", l->path, line, key, what);
	return -ERR_CONFIG;
}

/* libcyaml says what is wrong in its first line and where in the backtrace, innermost first. */
__attribute__((format(printf, 3, 0))) static void on_cyaml_log(cyaml_log_t level, void *ctx,
							       const char *format, va_list args)
{
	struct loading *l = ctx;
	char line[256];
	(void)level;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = 0;
	const char *where = strstr(line, "(line: ");
	if (where && !l->said_line)
		l->said_line = (unsigned)strtoul(where + strlen("(line: "), NULL, 10);
	if (!l->said[0])
		snprintf(l->said, sizeof(l->said), "%s",
			 strncmp(line, "Load: ", 6) == 0 ? line + 6 : line);
}

static int read_whole(struct loading *l, char *buffer, size_t size)
{
	ssize_t got;

	if (strcmp(l->path, "/dev/null") == 0)
		return 0;

	int fd = regular_file_open(l->path, O_RDONLY, 0);
	if (fd < 0) {
		snprintf(l->detail, l->detail_size, "%s: %s", l->path, regular_file_error(errno));
		return -ERR_CONFIG;
	}

	while (l->length < size && (got = read(fd, buffer + l->length, size - l->length)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			snprintf(l->detail, l->detail_size, "%s: %s", l->path, strerror(errno));
			close(fd);
			return -ERR_CONFIG;
		}
		l->length += (size_t)got;
	}

	close(fd);
	if (l->length == size) {
		snprintf(l->detail, l->detail_size, "%s: larger than %zu KiB", l->path,
			 size / 1024);
		return -ERR_CONFIG;
	}

	return 0;
}

static int take_seconds(const struct loading *l, const char *key, const double *s, double min,
			double max, int64_t *ret_ms)
{
	if (!s)
		return 0;
	if (!isfinite(*s) || *s < min || *s > max)
		return refuse(l, key, "not between %g and %g seconds", min, max);
	*ret_ms = (int64_t)(*s * 1000 + 0.5); /* never negative */
	return 0;
}

static int take_class(const struct loading *l, const char *name, const struct file_class *from,
		      struct class_config *to)
{
	char key[64];

	if (!from)
		return 0;

	snprintf(key, sizeof(key), "classes/%s/offset_s", name);
	int rc = take_seconds(l, key, from->offset_s, 0, 86400, &to->offset_ms);
	snprintf(key, sizeof(key), "classes/%s/hold_max_s", name);
	if (!rc)
		rc = take_seconds(l, key, from->hold_max_s, 0.1, 86400, &to->hold_ms_max);
	if (rc || !from->share)
		return rc;

	snprintf(key, sizeof(key), "classes/%s/share", name);
	if (!isfinite(*from->share) || *from->share < 0.001 || *from->share > 1)
		return refuse(l, key, "not between 0.001 and 1");
	to->share_permille = (int64_t)(*from->share * 1000 + 0.5);
	return 0;
}

static int take_classes(const struct loading *l, const struct file_classes *from,
			struct core_config *to)
{
	if (!from)
		return 0;
	const struct file_class *rows[LEASE_CLASS_COUNT] = {
		[LEASE_VOICE] = from->voice,
		[LEASE_CHAT] = from->chat,
		[LEASE_NORMAL] = from->normal,
		[LEASE_BACKGROUND] = from->background,
	};
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		int rc = take_class(l, lease_class_name(cls), rows[cls], &to->classes[cls]);
		if (rc)
			return rc;
	}

	for (int cls = 1; cls < LEASE_CLASS_COUNT; cls++)
		if (to->classes[cls].offset_ms < to->classes[cls - 1].offset_ms)
			return refuse(l, "classes", "the offset of %s is below that of %s",
				      lease_class_name(cls), lease_class_name(cls - 1));

	return 0;
}

static int take_timing(const struct loading *l, const struct file_timing *from,
		       struct core_config *to)
{
	int rc = 0;

	if (!from)
		return 0;
#define X(key, member, min, max)                                                                   \
	if (!rc)                                                                                   \
		rc = take_seconds(l, "timing/" #key, from->key, min, max, &to->member);
	SETTINGS_TIMING(X)
#undef X
	if (rc)
		return rc;

	if (to->grace_ms > to->grace_ms_max)
		return refuse(l, "timing/grace_s", "longer than grace_max_s");
	if (to->http_ttl_ms > to->http_ttl_ms_max)
		return refuse(l, "timing/http_ttl_s", "longer than http_ttl_max_s");
	if (to->session_ttl_ms < 2 * to->heartbeat_ms)
		return refuse(l, "timing/session_ttl_s", "shorter than two heartbeats");

	return 0;
}

static int take_gateway(const struct loading *l, const struct file_gateway *from,
			struct settings_gateway *to)
{
	if (!from)
		return 0;

	const struct {
		const char *key;
		const double *from;
		int64_t *to;
		double min, max;
	} rows[] = {
		{"gateway/quiet_s", from->quiet_s, &to->quiet_ms, 0.05, 240},
		{"gateway/whole_wait_s", from->whole_wait_s, &to->whole_wait_ms, 0.1, 3600},
		{"gateway/stream_wait_s", from->stream_wait_s, &to->stream_wait_ms, 0.1, 86400},
		{"gateway/finish_s", from->finish_s, &to->finish_ms, 0, 600},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int rc = take_seconds(l, rows[i].key, rows[i].from, rows[i].min, rows[i].max,
				      rows[i].to);
		if (rc)
			return rc;
	}
	return 0;
}

static int take_gpus(const struct loading *l, const struct settings_file *from,
		     struct settings *settings)
{
	struct core_config *to = &settings->core;
	char key[64];

	if (!from->gpus)
		return 0;
	settings->gpus_from = GPUS_FILE;
	to->gpu_count = 0;

	for (unsigned i = 0; i < from->gpus_count; i++) {
		const struct file_gpu *g = &from->gpus[i];
		struct gpu_config gpu = {.slots = g->slots ? *g->slots : 1,
					 .vram_known = g->vram_mb != NULL};
		snprintf(key, sizeof(key), "gpus/%u/slots", i);
		if (gpu.slots < 1 || gpu.slots > 64)
			return refuse(l, key, "not between 1 and 64");
		snprintf(key, sizeof(key), "gpus/%u/vram_mb", i);
		if (g->vram_mb && (*g->vram_mb < 1 || *g->vram_mb > 1u << 24))
			return refuse(l, key, "not between 1 and %u", 1u << 24);
		gpu.vram_bytes_total = g->vram_mb ? *g->vram_mb << 20 : 0;
		snprintf(key, sizeof(key), "gpus/%u/name", i);
		const char *problem = settings_gpu_name_problem(g->name);
		if (problem)
			return refuse(l, key, "'%s' %s", g->name, problem);
		for (unsigned j = 0; j < i; j++)
			if (strcmp(from->gpus[j].name, g->name) == 0)
				return refuse(l, key, "two GPUs are named '%s'", g->name);
		snprintf(gpu.name, sizeof(gpu.name), "%s", g->name);
		snprintf(gpu.uuid, sizeof(gpu.uuid), "%s", g->uuid ? g->uuid : "");
		to->gpus[to->gpu_count++] = gpu;
	}

	return 0;
}

/* Which one it is, is known once the command line has said which GPUs there are. */
static void take_browser_gpu(const struct settings_file *from, struct settings *to)
{
	snprintf(to->browser_gpu, sizeof(to->browser_gpu), "%s",
		 from->browser_gpu ? from->browser_gpu : "");
}

/* It becomes a word of a policy that is a list of words; nothing but a host may be named, and only
 * by TLS: a model is code that runs on the GPU. */
static bool model_origin_ok(const char *origin)
{
	static const char scheme[] = "https://";
	char normal[ORIGIN_BYTES_MAX + 1];
	size_t length = sizeof(scheme) - 1;
	return strncmp(origin, scheme, length) == 0 && !origin_normal(origin, normal) &&
	       strspn(origin + length, "abcdefghijklmnopqrstuvwxyz0123456789.-:") ==
		       strlen(origin + length);
}

static int take_models(const struct loading *l, const struct settings_file *from,
		       struct settings *to)
{
	char key[64];

	for (unsigned i = 0; i < from->model_origins_count; i++) {
		snprintf(key, sizeof(key), "model_origins/%u", i);
		if (!model_origin_ok(from->model_origins[i]))
			return refuse(l, key, "not an origin such as https://models.example");
		snprintf(to->model_origins[i], sizeof(to->model_origins[i]), "%s",
			 from->model_origins[i]);
	}

	if (from->model_origins)
		to->model_origin_count = from->model_origins_count;
	if (from->models && from->models[0] != '/')
		return refuse(l, "models", "not a whole path, from / on");

	if (from->models)
		snprintf(to->models_dir, sizeof(to->models_dir), "%s", from->models);
	return 0;
}

static int take_lists(const struct loading *l, const struct settings_file *from,
		      struct settings *to)
{
	char key[64];

	for (unsigned i = 0; i < from->listen_count; i++) {
		snprintf(key, sizeof(key), "listen/%u", i);
		if (!settings_take_address(from->listen[i], to->listen[i], NULL))
			return refuse(l, key,
				      "not ADDRESS:PORT with a numeric address or localhost");
	}

	if (from->listen)
		to->listen_count = from->listen_count;
	for (unsigned i = 0; i < from->origins_count; i++) {
		snprintf(key, sizeof(key), "origins/%u", i);
		const char *problem = origin_normal(from->origins[i], to->origins[i]);
		if (problem)
			return refuse(l, key, "%s (such as http://localhost:8000)", problem);
	}

	if (from->origins)
		to->origin_count = from->origins_count;
	for (unsigned i = 0; i < from->rules_count; i++) {
		snprintf(to->rules[i].match, sizeof(to->rules[i].match), "%s",
			 from->rules[i].match);
		to->rules[i].cls = from->rules[i].cls;
	}

	if (from->rules)
		to->rule_count = from->rules_count;
	if (from->socket)
		snprintf(to->socket_path, sizeof(to->socket_path), "%s", from->socket);
	return 0;
}

static int take_queue(const struct loading *l, const struct file_queue *from,
		      struct core_config *to)
{
	const uint32_t most = 1000000;

	if (!from)
		return 0;
	const struct {
		const char *key;
		const uint32_t *from;
		uint32_t *to;
	} rows[] = {
		{"queue/max", from->max, &to->queue_count_max},
		{"queue/per_session_max", from->per_session_max, &to->queue_per_session_max},
		{"queue/per_principal_max", from->per_principal_max, &to->queue_per_principal_max},
		{"queue/held_per_principal_max", from->held_per_principal_max,
		 &to->held_per_principal_max},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!rows[i].from)
			continue;
		if (*rows[i].from < 1 || *rows[i].from > most)
			return refuse(l, rows[i].key, "not between 1 and %u", most);
		*rows[i].to = *rows[i].from;
	}

	if (to->queue_per_session_max > to->queue_count_max)
		return refuse(l, "queue/per_session_max", "not between 1 and queue max");
	return 0;
}

static int take_limits(const struct loading *l, const struct settings_file *from,
		       struct settings *to)
{
	if (from->vram_headroom_mb && *from->vram_headroom_mb > 1u << 20)
		return refuse(l, "vram_headroom_mb", "above %u", 1u << 20);
	if (from->vram_headroom_mb)
		to->core.vram_headroom_bytes = *from->vram_headroom_mb << 20;
	if (from->connections)
		to->connections_max = *from->connections;
	if (to->connections_max <= LIMIT_CONNECTIONS_RESERVED || to->connections_max > 60000)
		return refuse(l, "connections", "not between %d and 60000",
			      LIMIT_CONNECTIONS_RESERVED + 1);

	if (from->connections_per_process)
		to->connections_per_process_max = *from->connections_per_process;
	if (from->connections_per_process &&
	    (to->connections_per_process_max < 1 ||
	     to->connections_per_process_max > to->connections_max))
		return refuse(l, "connections_per_process", "not between 1 and connections");

	if (from->log_level)
		to->log_level = (int)*from->log_level;
	if (from->mode)
		to->core.observe = *from->mode == FILE_OBSERVE;
	to->mode_said = from->mode != NULL;
	return 0;
}

/* Whether an address is free is not known before it is tried. */
static void note_lines(const struct loading *l, struct settings *to)
{
	char key[64];

	snprintf(to->file, sizeof(to->file), "%s", l->path);
	for (uint32_t i = 0; i < to->upstream_count; i++) {
		snprintf(key, sizeof(key), "upstreams/%u/listen", i);
		to->listen_lines[i] = settings_tree_line(l->text, l->length, key);
	}
}

static int take_file(const struct loading *l, const struct settings_file *from, struct settings *to)
{
	char key[64] = "";
	const char *problem = settings_take_who(from, to, key, sizeof(key));
	if (!problem)
		problem = settings_take_upstreams(from, to, key, sizeof(key));
	if (problem)
		return refuse(l, key, "%s", problem);
	note_lines(l, to);
	int rc = take_lists(l, from, to);
	if (!rc)
		rc = take_models(l, from, to);
	if (!rc)
		rc = take_classes(l, from->classes, &to->core);
	if (!rc)
		rc = take_timing(l, from->timing, &to->core);
	if (!rc)
		rc = take_gpus(l, from, to);
	take_browser_gpu(from, to);
	if (!rc)
		rc = take_gateway(l, from->gateway, &to->gateway);
	if (!rc)
		rc = take_queue(l, from->queue, &to->core);
	if (!rc)
		rc = take_limits(l, from, to);
	if (rc)
		return rc;

	problem = core_config_flaw(&to->core);
	return problem ? refuse(l, "classes", "%s", problem) : 0;
}

static int load_text(struct loading *l, const struct settings *base, struct settings *ret_settings)
{
	struct settings_file *file = NULL;
	struct settings taken = *base;
	char what[200];
	const cyaml_config_t config = {.log_fn = on_cyaml_log,
				       .log_ctx = l,
				       .mem_fn = cyaml_mem,
				       .log_level = CYAML_LOG_ERROR,
				       .flags = CYAML_CFG_NO_ALIAS};

	if (settings_tree_check(l->text, l->length, what, sizeof(what))) {
		snprintf(l->detail, l->detail_size, "%s:%s", l->path, what);
		return -ERR_CONFIG;
	}

	cyaml_err_t err = cyaml_load_data((const uint8_t *)l->text, l->length, &config,
					  &settings_schema, (void **)&file, NULL);
	if (err != CYAML_OK) {
		snprintf(l->detail, l->detail_size, "%s:%u: %s", l->path, l->said_line,
			 l->said[0] ? l->said : cyaml_strerror(err));
		return -ERR_CONFIG;
	}

	int rc = file ? take_file(l, file, &taken) : 0; /* NULL: an empty file */
	cyaml_free(&config, &settings_schema, file, 0);
	if (!rc)
		*ret_settings = taken;
	return rc;
}

int settings_load(const char *path, const struct settings *base, struct settings *ret_settings,
		  char *detail, size_t detail_size)
{
	char *buffer = malloc(SETTINGS_FILE_BYTES);
	struct loading l = {
		.path = path, .text = buffer, .detail = detail, .detail_size = detail_size};
	if (!buffer) {
		snprintf(detail, detail_size, "%s: out of memory", path);
		return -ERR_CONFIG;
	}
	int rc = read_whole(&l, buffer, SETTINGS_FILE_BYTES);
	if (!rc)
		rc = load_text(&l, base, ret_settings);
	free(buffer);
	return rc;
}
