/* settings_upstreams: the model servers that the configuration names. Kinds are the gateway's to
 * know; whatever else can be judged without asking a server is judged here. */
#include <stdio.h>
#include <string.h>

#include "config/settings.h"
#include "config/settings_impl.h"

enum {
	VRAM_MB_MAX = 1 << 24,
	IDLE_S_MAX = 604800,
	SILENCE_S_MAX = 86400,
	WAIT_S_MAX = 604800,
	PARALLEL_MAX = 64
};

/* The official clients of the APIs give a silent answer up after as long. */
enum { SILENCE_S_DEFAULT = 600 };

/* "http://host[:port]" or https, and nothing behind it. */
static const char *url_problem(const char *url)
{
	const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
			   : strncmp(url, "https://", 8) == 0 ? url + 8
							      : NULL;

	if (!host)
		return "has a url that does not begin with http:// or https://";
	if (host[strcspn(host, "/?#")])
		return "has a url with a path; leave it at the host and the port";
	if (!host[0] || strpbrk(host, "@ \\\"<>") || strspn(host, "\t") > 0)
		return "has a url without a host, or with a user in it";
	return NULL;
}

const char *const settings_upstream_kinds[] = {
	"ollama",  "llama-server", "llama-router", "llama-swap", "vllm-sleep", "lmstudio",
	"localai", "lemonade",     "koboldcpp",    "tabbyapi",   "sglang",     "whisper.cpp",
	"openai",  "comfyui",      "a1111",        NULL};

/* Those that people use by the pages that the server has. */
static bool has_pages(const char *kind)
{
	return strcmp(kind, "comfyui") == 0 || strcmp(kind, "a1111") == 0;
}

static bool kind_ok(const char *kind)
{
	for (const char *const *one = settings_upstream_kinds; *one; one++)
		if (strcmp(*one, kind) == 0)
			return true;
	return false;
}

static bool vram_ok(const uint64_t *vram_mb)
{
	return !vram_mb || (*vram_mb >= 1 && *vram_mb <= VRAM_MB_MAX);
}

static bool name_ok(const char *name)
{
	return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789._-")] == '\0';
}

static const char *take_model(const struct file_upstream_model *from, uint32_t upstream,
			      struct settings *to)
{
	struct settings_upstream_model *model;

	if (to->upstream_model_count == SETTINGS_UPSTREAM_MODEL_COUNT)
		return "is more than the 64 models that may be named in all";
	if (!vram_ok(from->vram_mb))
		return "has a vram_mb that is not between 1 and 16777216";

	model = &to->upstream_models[to->upstream_model_count++];
	*model = (struct settings_upstream_model){
		.upstream = upstream, .vram_bytes = from->vram_mb ? *from->vram_mb << 20 : 0};
	snprintf(model->name, sizeof(model->name), "%s", from->name);
	snprintf(model->alias, sizeof(model->alias), "%s", from->alias ? from->alias : "");
	return NULL;
}

static bool take_words(char *const *from, unsigned count, struct settings_words *to)
{
	size_t used = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t size = strlen(from[i]) + 1;
		if (size > sizeof(to->bytes) - used)
			return false;
		memcpy(to->bytes + used, from[i], size);
		used += size;
	}
	to->count = count;
	return true;
}

/* Every ${..} is one that is filled in. */
static bool variables_ok(char *const *words, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		for (const char *at = strstr(words[i], "${"); at; at = strstr(at + 2, "${"))
			if (strncmp(at, "${PORT}", 7) != 0 && strncmp(at, "${MODEL}", 8) != 0)
				return false;
	return true;
}

static bool env_ok(char *const *words, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (words[i][0] == '=' || !strchr(words[i], '='))
			return false;
	return true;
}

/* A port of this machine, said as a number. */
static bool url_is_local(const char *url)
{
	const char *port = strncmp(url, "http://127.0.0.1:", 17) == 0 ? url + 17 : "";

	return port[0] && port[strspn(port, "0123456789")] == '\0';
}

/* What only counts with `cmd`. */
static bool without_command(const struct file_upstream *from)
{
	return !from->env_count && !from->ready && !from->idle_s;
}

static const char *take_command(const struct file_upstream *from, const struct settings *all,
				struct settings_upstream *to)
{
	if (from->cmd_count == 0)
		return without_command(from) ? NULL : "has env, ready or idle_s, and no cmd";
	if (!from->cmd[0][0])
		return "has a cmd without a program";
	if (!url_is_local(from->url))
		return "has a cmd and a url other than http://127.0.0.1:PORT";
	for (uint32_t i = 0; i < all->upstream_count; i++)
		if (all->upstreams[i].cmd.count && strcmp(all->upstreams[i].url, from->url) == 0)
			return "has a cmd and the port of another one";
	if (from->gpu && strcmp(from->gpu, "none") == 0)
		return "has a cmd and gpu: none; Baton starts what is on its GPUs";
	if (!has_pages(from->kind) &&
	    (from->models_count != 1 || (!from->vram_mb && !from->models[0].vram_mb)))
		return "has a cmd, and not one model with its vram_mb";
	if (!variables_ok(from->cmd, from->cmd_count) || !variables_ok(from->env, from->env_count))
		return "has a ${..} other than ${PORT} and ${MODEL}";
	if (!env_ok(from->env, from->env_count))
		return "has an env that is not NAME=VALUE";
	if (from->ready && from->ready[0] != '/')
		return "has a ready that is not a path, from / on";
	if (from->idle_s && !(*from->idle_s >= 0.05 && *from->idle_s <= IDLE_S_MAX))
		return "has an idle_s that is not between 0.05 and 604800";
	if (!take_words(from->cmd, from->cmd_count, &to->cmd) ||
	    !take_words(from->env, from->env_count, &to->env))
		return "has a cmd or env of more than 2048 bytes";

	snprintf(to->ready, sizeof(to->ready), "%s", from->ready ? from->ready : "");
	to->idle_ms = from->idle_s ? (int64_t)(*from->idle_s * 1000) : 0;
	return NULL;
}

/* Requests come along in the turn of another one: there has to be a turn, and the server has to
 * know one model's request from another's. */
static const char *parallel_problem(const struct file_upstream *from)
{
	if (!from->parallel)
		return NULL;
	if (!(*from->parallel >= 1 && *from->parallel <= PARALLEL_MAX))
		return "has a parallel that is not between 1 and 64";
	if (has_pages(from->kind))
		return "has parallel, which is not for comfyui and a1111: they work on one after "
		       "the other";
	if (from->gpu && strcmp(from->gpu, "none") == 0)
		return "has parallel and gpu: none; its requests take no turn, and all go to it at "
		       "once";
	return NULL;
}

static bool wait_ok(const double *wait_s)
{
	return !wait_s || (*wait_s >= 0.1 && *wait_s <= WAIT_S_MAX);
}

/* Ports that the kernel chooses are never another's. */
static bool listens_too(const struct settings *all, const char *address)
{
	const char *port = strrchr(address, ':');

	if (strcmp(port, ":0") == 0)
		return false;
	for (uint32_t i = 0; i < all->upstream_count; i++)
		if (strcmp(all->upstreams[i].listen, address) == 0)
			return true;
	return false;
}

static const char *take_listener(const struct file_upstream *from, const struct settings *all,
				 struct settings_upstream *to)
{
	bool on_gpu = !from->gpu || strcmp(from->gpu, "none") != 0, loopback = false;

	if (!has_pages(from->kind))
		return from->listen || from->routes || from->wait_s
			       ? "has listen, routes or wait_s, which are for comfyui and a1111"
			       : NULL;
	if (!from->listen)
		return "has no listen; its pages are served there";
	if (!settings_take_address(from->listen, to->listen, &loopback))
		return "has a listen that is not ADDRESS:PORT with a numeric address or localhost";
	if (!loopback)
		return "has a listen that is not on the loopback; its pages ask nobody for a key";
	if (listens_too(all, to->listen))
		return "has the listen of another one";
	if (strncmp(from->url, "http://", 7) == 0 && strcmp(from->url + 7, to->listen) == 0)
		return "has the address of its own url as its listen";
	if (from->models_count)
		return "has models; which ones are loaded is its own matter";
	if (on_gpu && !from->vram_mb)
		return "has no vram_mb; Baton makes room for so much before its first turn";
	if (!wait_ok(from->wait_s))
		return "has a wait_s that is not between 0.1 and 604800";

	to->wait_ms = from->wait_s ? (int64_t)(*from->wait_s * 1000) : 0;
	return NULL;
}

static const char *take_route(const struct file_upstream_route *from, uint32_t upstream,
			      struct settings *to)
{
	const char *problem = turn_rule_problem(from->match);
	struct settings_upstream_route *route;

	if (to->upstream_route_count == SETTINGS_UPSTREAM_ROUTE_COUNT)
		return "is more than the 64 routes that may be named in all";
	if (problem)
		return problem;

	route = &to->upstream_routes[to->upstream_route_count++];
	*route = (struct settings_upstream_route){.upstream = upstream, .cls = from->cls};
	snprintf(route->match, sizeof(route->match), "%s", from->match);
	return NULL;
}

static const char *take_upstream(const struct file_upstream *from, struct settings *to)
{
	struct settings_upstream *upstream = &to->upstreams[to->upstream_count];
	const char *problem = url_problem(from->url);

	if (problem)
		return problem;
	if (!kind_ok(from->kind))
		return "has a kind other than ollama, llama-server, llama-router, llama-swap, "
		       "vllm-sleep, lmstudio, localai, lemonade, koboldcpp, tabbyapi, sglang, "
		       "whisper.cpp, openai, comfyui and a1111";
	if (!name_ok(from->name))
		return "has a name with other than letters, digits, and ._-";
	for (uint32_t i = 0; i < to->upstream_count; i++)
		if (strcmp(to->upstreams[i].name, from->name) == 0)
			return "has the name of another one";
	if (from->key_file && from->key_file[0] != '/')
		return "has a key_file that is not a whole path, from / on";
	if (!vram_ok(from->vram_mb))
		return "has a vram_mb that is not between 1 and 16777216";
	if (from->silence_s && !(*from->silence_s >= 0.1 && *from->silence_s <= SILENCE_S_MAX))
		return "has a silence_s that is not between 0.1 and 86400";
	if (strcmp(from->kind, "whisper.cpp") == 0 && from->models_count != 1)
		return "is of kind whisper.cpp and has not one model; it has one, and does not "
		       "say which";
	problem = parallel_problem(from);
	if (problem)
		return problem;

	*upstream = (struct settings_upstream){
		.vram_bytes = from->vram_mb ? *from->vram_mb << 20 : 0,
		.parallel = from->parallel ? *from->parallel : 1,
		.silence_ms =
			(int64_t)((from->silence_s ? *from->silence_s : SILENCE_S_DEFAULT) * 1000),
	};
	snprintf(upstream->name, sizeof(upstream->name), "%s", from->name);
	snprintf(upstream->kind, sizeof(upstream->kind), "%s", from->kind);
	snprintf(upstream->url, sizeof(upstream->url), "%s", from->url);
	snprintf(upstream->gpu, sizeof(upstream->gpu), "%s",
		 from->gpu && strcmp(from->gpu, "any") != 0 ? from->gpu : "");
	snprintf(upstream->key_file, sizeof(upstream->key_file), "%s",
		 from->key_file ? from->key_file : "");
	problem = take_listener(from, to, upstream);
	if (!problem)
		problem = take_command(from, to, upstream);
	to->upstream_count += !problem;
	return problem;
}

const char *settings_take_upstreams(const struct settings_file *from, struct settings *to,
				    char *key, size_t key_size)
{
	const char *problem = NULL;

	if (from->upstreams)
		to->upstream_count = to->upstream_model_count = to->upstream_route_count = 0;

	for (unsigned i = 0; i < from->upstreams_count && !problem; i++) {
		const struct file_upstream *upstream = &from->upstreams[i];

		snprintf(key, key_size, "upstreams/%u", i);
		problem = take_upstream(upstream, to);
		for (unsigned j = 0; j < upstream->models_count && !problem; j++) {
			snprintf(key, key_size, "upstreams/%u/models/%u", i, j);
			problem = take_model(&upstream->models[j], i, to);
		}
		for (unsigned j = 0; j < upstream->routes_count && !problem; j++) {
			snprintf(key, key_size, "upstreams/%u/routes/%u", i, j);
			problem = take_route(&upstream->routes[j], i, to);
		}
	}
	return problem;
}
