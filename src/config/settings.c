/* settings: defaults, comparison and the small syntaxes (addresses, GPU specs). Does not read files
 * (settings_load.c). Called by the options and by the reload. */
#include "config/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/log.h"
#include "base/number.h"

void settings_defaults(struct settings *ret_settings)
{
	static const struct settings_rule rules[] = {
		{"Root-Mic*", LEASE_VOICE},
		{"Root-Console*", LEASE_CHAT},
		{"Dreamer*", LEASE_BACKGROUND},
	};
	struct settings s = {
		.connections_max = LIMIT_CONNECTIONS,
		.log_level = LOG_INFO,
		/* Some clients give up an answer in one piece after 300 s, and ask again. */
		.gateway = {.quiet_ms = 10 * 1000,
			    .whole_wait_ms = 240 * 1000,
			    .stream_wait_ms = 1800 * 1000,
			    .finish_ms = 15 * 1000},
	};
	core_config_defaults(&s.core);
	snprintf(s.listen[0], sizeof(s.listen[0]), "127.0.0.1:8470");
	s.listen_count = 1;
	memcpy(s.rules, rules, sizeof(rules));
	s.rule_count = sizeof(rules) / sizeof(*rules);
	*ret_settings = s;
}

static bool host_is_loopback(const char *host, bool is_v6)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (is_v6)
		return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
	return inet_pton(AF_INET, host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

static bool port_ok(const char *digits)
{
	size_t length = strspn(digits, "0123456789");
	return length > 0 && length <= 5 && !digits[length] && atoi(digits) <= 65535;
}

bool settings_take_address(const char *text, char *ret_address, bool *ret_loopback)
{
	char host[SETTINGS_ADDRESS_BYTES + 1];
	unsigned char binary[sizeof(struct in6_addr)];
	const char *colon = strrchr(text, ':');
	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(host) ||
	    !port_ok(colon + 1))
		return false;

	bool is_v6 = text[0] == '[';
	const char *begin = text + is_v6, *end = colon - is_v6;
	if (end <= begin || (is_v6 && *end != ']'))
		return false;

	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = 0;
	if (!is_v6 && strcasecmp(host, "localhost") == 0)
		snprintf(host, sizeof(host), "127.0.0.1");
	if (inet_pton(is_v6 ? AF_INET6 : AF_INET, host, binary) != 1)
		return false;

	if (ret_loopback)
		*ret_loopback = host_is_loopback(host, is_v6);
	if (!ret_address)
		return true;

	snprintf(ret_address, SETTINGS_ADDRESS_BYTES + 1, "%s%.*s%s%s", is_v6 ? "[" : "",
		 SETTINGS_ADDRESS_BYTES - 8, host, is_v6 ? "]" : "", colon);
	return true;
}

/* A whole decimal number up to max, or -1. */
static int64_t number_of(const char *text, int64_t max)
{
	char *end;
	size_t length = strspn(text, "0123456789");
	if (length == 0 || length > 15 || text[length])
		return -1;
	long long value = strtoll(text, &end, 10);
	return value <= max ? value : -1;
}

/* A request names a GPU by name, index or uuid, several with commas, or says "any". */
const char *settings_gpu_name_problem(const char *name)
{
	for (const char *at = name; *at; at++)
		if ((unsigned char)*at <= 0x20 || *at == 0x7f)
			return "has spaces or control bytes";
	if (name[0] == 0)
		return "is empty";
	if (strchr(name, ','))
		return "has a comma, which parts the names of a list";
	if (strcasecmp(name, "any") == 0)
		return "is what requests say for no certain GPU";
	if (strspn(name, "0123456789") == strlen(name))
		return "reads as an index; begin it with a letter";
	return NULL;
}

/* MiB, or -1. */
static int64_t vram_mb_of(const char *text)
{
	const int64_t max = 1 << 24;
	uint64_t bytes;
	if (!text[strspn(text, "0123456789")])
		return number_of(text, max);
	if (!number_parse_size(text, &bytes) || bytes >> 20 > (uint64_t)max)
		return -1;
	return (int64_t)(bytes >> 20);
}

static int check_new_name(const struct settings *settings, const char *name, char *detail,
			  size_t size)
{
	const char *problem = settings_gpu_name_problem(name);
	if (problem) {
		snprintf(detail, size, "the GPU name '%s' %s", name, problem);
		return -ERR_CONFIG;
	}
	for (uint32_t i = 0; i < settings->core.gpu_count; i++) {
		if (strcmp(settings->core.gpus[i].name, name) == 0) {
			snprintf(detail, size, "two GPUs are named '%s'", name);
			return -ERR_CONFIG;
		}
	}
	return 0;
}

int settings_add_gpu(struct settings *settings, const char *spec, char *detail, size_t detail_size)
{
	char copy[LIMIT_GPU_NAME_BYTES + 64];
	struct gpu_config gpu = {.slots = 1, .vram_known = true};
	char *save = NULL;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", spec) >= sizeof(copy))
		copy[0] = 0;
	char *name = strtok_r(copy, ":", &save);
	char *vram = strtok_r(NULL, ":", &save), *slots = strtok_r(NULL, ":", &save);
	int64_t vram_mb = vram ? vram_mb_of(vram) : -1;
	int64_t slot_count = slots ? number_of(slots, 64) : 1;
	if (!name || strlen(name) > LIMIT_GPU_NAME_BYTES || vram_mb < 1 || slot_count < 1 ||
	    strtok_r(NULL, ":", &save)) {
		snprintf(detail, detail_size,
			 "'%.80s' is not NAME:VRAM[:SLOTS], such as gpu0:24G or gpu0:24576:2",
			 spec);
		return -ERR_CONFIG;
	}

	if (settings->core.gpu_count == LIMIT_GPUS) {
		snprintf(detail, detail_size, "at most %d GPUs", LIMIT_GPUS);
		return -ERR_CONFIG;
	}

	if (check_new_name(settings, name, detail, detail_size))
		return -ERR_CONFIG;
	snprintf(gpu.name, sizeof(gpu.name), "%s", name);
	gpu.vram_bytes_total = (uint64_t)vram_mb << 20;
	gpu.slots = (uint32_t)slot_count;
	settings->core.gpus[settings->core.gpu_count++] = gpu;
	return 0;
}

int settings_find_browser_gpu(struct settings *settings, char *detail, size_t detail_size)
{
	struct core_config *core = &settings->core;
	const char *name = settings->browser_gpu;
	size_t used;

	core->browser_gpu = 0;
	if (!name[0])
		return 0;

	for (uint32_t i = 0; i < core->gpu_count; i++) {
		const struct gpu_config *gpu = &core->gpus[i];
		core->browser_gpu = i;
		if (strcmp(gpu->name, name) == 0 || strcmp(gpu->uuid, name) == 0)
			return 0;
	}

	snprintf(detail, detail_size, "browser_gpu: no GPU is named '%s'; there %s", name,
		 core->gpu_count == 1 ? "is" : "are");
	for (uint32_t i = 0; i < core->gpu_count && (used = strlen(detail)) < detail_size; i++)
		snprintf(detail + used, detail_size - used, "%s %s", i ? "," : "",
			 core->gpus[i].name);

	return -ERR_CONFIG;
}

static void add_name(char *list, size_t size, const char *name)
{
	size_t used = strlen(list);
	snprintf(list + used, size - used, "%s%s", used ? ", " : "", name);
}

static bool gpus_differ(const struct core_config *a, const struct core_config *b)
{
	if (a->gpu_count != b->gpu_count)
		return true;
	for (uint32_t i = 0; i < a->gpu_count; i++) {
		const struct gpu_config *x = &a->gpus[i], *y = &b->gpus[i];
		if (strcmp(x->name, y->name) != 0 || strcmp(x->uuid, y->uuid) != 0 ||
		    x->vram_known != y->vram_known || x->slots != y->slots ||
		    (x->vram_known && x->vram_bytes_total != y->vram_bytes_total))
			return true;
	}
	return false;
}

bool settings_gpus_moved(const struct settings *from, const struct settings *to)
{
	if (to->core.gpu_count < from->core.gpu_count)
		return true;
	for (uint32_t i = 0; i < from->core.gpu_count; i++)
		if (strcmp(from->core.gpus[i].name, to->core.gpus[i].name) != 0)
			return true;
	return false;
}

static bool timing_differs(const struct core_config *a, const struct core_config *b)
{
	const int64_t *x = &a->quantum_ms, *y = &b->quantum_ms;
	size_t count = (offsetof(struct core_config, settle_ms) -
			offsetof(struct core_config, quantum_ms)) /
			       sizeof(int64_t) +
		       1;
	return memcmp(x, y, count * sizeof(int64_t)) != 0;
}

static bool rules_differ(const struct settings *a, const struct settings *b)
{
	if (a->rule_count != b->rule_count)
		return true;
	for (uint32_t i = 0; i < a->rule_count; i++)
		if (strcmp(a->rules[i].match, b->rules[i].match) != 0 ||
		    a->rules[i].cls != b->rules[i].cls)
			return true;
	return false;
}

static bool principals_differ(const struct settings *a, const struct settings *b)
{
	if (a->principal_count != b->principal_count)
		return true;
	for (uint32_t i = 0; i < a->principal_count; i++) {
		const struct settings_principal *x = &a->principals[i], *y = &b->principals[i];
		if (strcmp(x->match, y->match) != 0 || x->classes != y->classes ||
		    x->queue_max != y->queue_max || x->held_max != y->held_max)
			return true;
	}
	return false;
}

static bool keys_differ(const struct settings *a, const struct settings *b)
{
	if (a->key_count != b->key_count)
		return true;
	for (uint32_t i = 0; i < a->key_count; i++)
		if (strcmp(a->keys[i].name, b->keys[i].name) != 0 ||
		    strcmp(a->keys[i].file, b->keys[i].file) != 0)
			return true;
	return false;
}

static bool lists_differ(const void *a, uint32_t a_count, const void *b, uint32_t b_count,
			 size_t row_size)
{
	if (a_count != b_count)
		return true;
	for (uint32_t i = 0; i < a_count; i++)
		if (strcmp((const char *)a + i * row_size, (const char *)b + i * row_size) != 0)
			return true;
	return false;
}

/* Rows are zeroed before they are filled. */
static bool upstreams_differ(const struct settings *a, const struct settings *b)
{
	return a->upstream_count != b->upstream_count ||
	       a->upstream_model_count != b->upstream_model_count ||
	       a->upstream_route_count != b->upstream_route_count ||
	       memcmp(a->upstream_routes, b->upstream_routes,
		      a->upstream_route_count * sizeof(a->upstream_routes[0])) ||
	       memcmp(a->upstreams, b->upstreams, a->upstream_count * sizeof(a->upstreams[0])) ||
	       memcmp(a->upstream_models, b->upstream_models,
		      a->upstream_model_count * sizeof(a->upstream_models[0]));
}

void settings_compare(const struct settings *from, const struct settings *to,
		      struct settings_change *ret_change)
{
	struct settings_change c = {0};
	const struct {
		const char *name;
		bool differs, restart;
	} rows[] = {
		{"mode", from->core.observe != to->core.observe, false},
		{"classes", memcmp(from->core.classes, to->core.classes, sizeof(to->core.classes)),
		 false},
		{"class_rules", rules_differ(from, to), false},
		{"principals", principals_differ(from, to), false},
		{"keys", keys_differ(from, to), false},
		{"gpus", gpus_differ(&from->core, &to->core), settings_gpus_moved(from, to)},
		{"browser_gpu", strcmp(from->browser_gpu, to->browser_gpu) != 0,
		 settings_gpus_moved(from, to)},
		{"timing", timing_differs(&from->core, &to->core), false},
		{"vram_headroom_mb", from->core.vram_headroom_bytes != to->core.vram_headroom_bytes,
		 false},
		{"queue",
		 from->core.queue_count_max != to->core.queue_count_max ||
			 from->core.queue_per_session_max != to->core.queue_per_session_max ||
			 from->core.queue_per_principal_max != to->core.queue_per_principal_max ||
			 from->core.held_per_principal_max != to->core.held_per_principal_max,
		 false},
		{"origins",
		 lists_differ(from->origins, from->origin_count, to->origins, to->origin_count,
			      sizeof(from->origins[0])),
		 false},
		{"models", strcmp(from->models_dir, to->models_dir) != 0, false},
		{"model_origins",
		 lists_differ(from->model_origins, from->model_origin_count, to->model_origins,
			      to->model_origin_count, sizeof(from->model_origins[0])),
		 false},
		{"log_level", from->log_level != to->log_level, false},
		{"listen",
		 lists_differ(from->listen, from->listen_count, to->listen, to->listen_count,
			      sizeof(from->listen[0])),
		 true},
		{"socket", strcmp(from->socket_path, to->socket_path) != 0, true},
		{"gateway", memcmp(&from->gateway, &to->gateway, sizeof(to->gateway)) != 0,
		 settings_gpus_moved(from, to)},
		{"upstreams", upstreams_differ(from, to), settings_gpus_moved(from, to)},
		{"connections", from->connections_max != to->connections_max, true},
		{"connections_per_process",
		 from->connections_per_process_max != to->connections_per_process_max, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!rows[i].differs)
			continue;
		if (rows[i].restart)
			add_name(c.restart, sizeof(c.restart), rows[i].name);
		else
			add_name(c.applied, sizeof(c.applied), rows[i].name);
	}

	*ret_change = c;
}
