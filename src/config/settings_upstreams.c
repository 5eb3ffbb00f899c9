/* settings_upstreams: the model servers that the configuration names. Kinds are the gateway's to
 * know; whatever else can be judged without asking a server is judged here. */
#include <stdio.h>
#include <string.h>

#include "config/settings_file.h"

enum { VRAM_MB_MAX = 1 << 24 };

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
	"ollama", "llama-server", "llama-router", "llama-swap", "vllm-sleep", "openai", NULL};

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

static const char *take_upstream(const struct file_upstream *from, struct settings *to)
{
	struct settings_upstream *upstream = &to->upstreams[to->upstream_count];
	const char *problem = url_problem(from->url);

	if (problem)
		return problem;
	if (!kind_ok(from->kind))
		return "has a kind other than ollama, llama-server, llama-router, llama-swap, "
		       "vllm-sleep and openai";
	if (!name_ok(from->name))
		return "has a name with other than letters, digits, and ._-";
	for (uint32_t i = 0; i < to->upstream_count; i++)
		if (strcmp(to->upstreams[i].name, from->name) == 0)
			return "has the name of another one";
	if (from->key_file && from->key_file[0] != '/')
		return "has a key_file that is not a whole path, from / on";
	if (!vram_ok(from->vram_mb))
		return "has a vram_mb that is not between 1 and 16777216";

	*upstream =
		(struct settings_upstream){.vram_bytes = from->vram_mb ? *from->vram_mb << 20 : 0};
	snprintf(upstream->name, sizeof(upstream->name), "%s", from->name);
	snprintf(upstream->kind, sizeof(upstream->kind), "%s", from->kind);
	snprintf(upstream->url, sizeof(upstream->url), "%s", from->url);
	snprintf(upstream->gpu, sizeof(upstream->gpu), "%s",
		 from->gpu && strcmp(from->gpu, "any") != 0 ? from->gpu : "");
	snprintf(upstream->key_file, sizeof(upstream->key_file), "%s",
		 from->key_file ? from->key_file : "");
	to->upstream_count++;
	return NULL;
}

const char *settings_take_upstreams(const struct settings_file *from, struct settings *to,
				    char *key, size_t key_size)
{
	const char *problem = NULL;

	if (from->upstreams)
		to->upstream_count = to->upstream_model_count = 0;

	for (unsigned i = 0; i < from->upstreams_count && !problem; i++) {
		const struct file_upstream *upstream = &from->upstreams[i];

		snprintf(key, key_size, "upstreams/%u", i);
		problem = take_upstream(upstream, to);
		for (unsigned j = 0; j < upstream->models_count && !problem; j++) {
			snprintf(key, key_size, "upstreams/%u/models/%u", i, j);
			problem = take_model(&upstream->models[j], i, to);
		}
	}
	return problem;
}
