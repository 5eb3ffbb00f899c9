/* catalog: see catalog.h. */
#include "gateway/catalog.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "gateway/adapter.h"
#include "gateway/api.h"
#include "gateway/model.h"
#include "gateway/residence.h"
#include "net/loop.h"

enum { LIST_TIME_MS = 2000, NEAREST_COUNT = 3 };

struct model_server *catalog_server_after(const struct catalog *catalog,
					  const struct model_server *server)
{
	const struct list *next = server ? server->in_catalog.next : catalog->servers.next;

	return next == &catalog->servers ? NULL
					 : container_of(next, struct model_server, in_catalog);
}

struct model *catalog_model_after(const struct model_server *server, const struct model *model)
{
	const struct list *next = model ? model->in_server.next : server->models.next;

	return next == &server->models ? NULL : container_of(next, struct model, in_server);
}

static struct model *add_model(struct model_server *server, const char *name)
{
	struct model *model = calloc(1, sizeof(*model));

	if (!model)
		abort();

	model->server = server;
	model->name = text_dup(name);
	model->due = MONO_NEVER;
	list_init(&model->waiting);
	list_init(&model->in_server);
	list_append(&server->models, &model->in_server);
	return model;
}

static struct model *named_model(const struct model_server *server, const char *name)
{
	server_models(model, server)
	{
		if (adapter_same_model(server->adapter, model->name, name))
			return model;
	}
	return NULL;
}

struct model *catalog_model(struct model_server *server, const char *name)
{
	struct model *model = named_model(server, name);

	return model ? model : add_model(server, name);
}

static void free_model(struct model *model)
{
	call_cancel(model->call);
	call_cancel(model->stop_call);
	list_remove(&model->in_server);
	free(model->name);
	free(model->alias);
	free(model);
}

/* As long as so many words are, each with its NUL. */
static size_t words_size(const char *words, unsigned count)
{
	const char *at = words;

	for (unsigned i = 0; i < count; i++)
		at += strlen(at) + 1;
	return (size_t)(at - words);
}

static char *copy_words(const char *words, unsigned count)
{
	size_t size = words_size(words, count);
	char *copy = malloc(size + 1);

	if (!copy)
		abort();
	memcpy(copy, words, size);
	return copy;
}

static void take_command(struct model_server *server, const struct gateway_server_config *config)
{
	server->idle_ms = config->idle_ms;
	if (config->cmd_count == 0)
		return;
	server->cmd = copy_words(config->cmd, config->cmd_count);
	server->env = copy_words(config->env, config->env_count);
	server->cmd_count = config->cmd_count;
	server->env_count = config->env_count;
}

static void take_ready(struct model_server *server, const struct gateway_server_config *config)
{
	if (!server->cmd)
		return;
	free(server->ready);
	server->ready = text_dup(config->ready[0]             ? config->ready
				 : server->adapter->ready     ? server->adapter->ready
				 : server->adapter->list.path ? server->adapter->list.path
							      : "/");
}

static bool same_words(const char *a, unsigned a_count, const char *b, unsigned b_count)
{
	size_t size;

	if (a_count != b_count || a_count == 0)
		return a_count == b_count;
	size = words_size(a, a_count);
	return size == words_size(b, b_count) && !memcmp(a, b, size);
}

/* A command serves one model, and may be told which. */
static bool same_model(const struct model_server *server,
		       const struct gateway_server_config *config)
{
	const struct model *model;

	if (config->cmd_count == 0 || config->model_count == 0)
		return true;
	model = named_model(server, config->models[0].name);
	return model && model->configured;
}

bool catalog_is(const struct model_server *server, const struct gateway_server_config *config)
{
	return !strcmp(server->name, config->name) && !strcmp(server->url, config->url) &&
	       server->adapter == adapter_of(config->kind) && same_model(server, config) &&
	       same_words(server->cmd, server->cmd_count, config->cmd, config->cmd_count) &&
	       same_words(server->env, server->env_count, config->env, config->env_count);
}

static void free_server(struct model_server *server)
{
	list_each (it, next, &server->models)
		free_model(container_of(it, struct model, in_server));

	call_cancel(server->list_call);
	list_remove(&server->in_catalog);
	free(server->name);
	free(server->url);
	free(server->cmd);
	free(server->env);
	free(server->ready);
	free(server->rules);
	free(server->principal);
	if (server->key)
		explicit_bzero(server->key, strlen(server->key));
	free(server->key);
	free(server);
}

void catalog_init(struct catalog *catalog, struct upstream *upstream, void (*on_change)(void *ctx),
		  void *ctx)
{
	*catalog = (struct catalog){.upstream = upstream, .on_change = on_change, .ctx = ctx};
	list_init(&catalog->servers);
}

void catalog_finish(struct catalog *catalog)
{
	list_each (it, next, &catalog->servers)
		free_server(container_of(it, struct model_server, in_catalog));
}

static void configure_models(struct model_server *server,
			     const struct gateway_server_config *config)
{
	for (unsigned i = 0; i < config->model_count; i++) {
		const struct gateway_model_config *from = &config->models[i];
		struct model *model = catalog_model(server, from->name);

		free(model->alias);
		model->alias = text_dup(from->alias);
		if (model->vram_bytes != from->vram_bytes)
			model->failures = 0; /* it may be why it failed */
		model->vram_bytes = from->vram_bytes;
		model->configured = true;
	}
}

/* What a server has loaded for its pages is one model of its own name. */
static void configure_pages(struct model_server *server, const struct gateway_server_config *config)
{
	if (!server->adapter->turns)
		return;
	catalog_model(server, server->name)->configured = true;
	server->wait_ms = config->wait_ms ? config->wait_ms : server->adapter->wait_ms;
	free(server->rules);
	server->rules = calloc(config->rule_count + 1, sizeof(*server->rules));
	if (!server->rules)
		abort();
	server->rule_count = config->rule_count;
	for (unsigned i = 0; i < config->rule_count; i++)
		server->rules[i] = config->rules[i];
}

static struct model_server *open_server(struct catalog *catalog, const char *name)
{
	struct model_server *server = calloc(1, sizeof(*server));

	if (!server)
		abort();

	server->catalog = catalog;
	server->name = text_dup(name);
	server->asked_at = MONO_NEVER;
	list_init(&server->models);
	list_init(&server->in_catalog);
	list_append(&catalog->servers, &server->in_catalog);
	return server;
}

void catalog_add(struct catalog *catalog, const struct gateway_server_config *config)
{
	struct model_server *server = open_server(catalog, config->name);

	server->url = text_dup(config->url);
	server->key = text_dup(config->key);
	server->adapter = adapter_of(config->kind);
	server->on_gpu = config->on_gpu;
	server->gpu_mask = config->gpu_mask;
	server->vram_bytes = config->vram_bytes;
	server->silence_ms = config->silence_ms;
	server->parallel = config->parallel;
	server->configured = true;

	take_command(server, config);
	take_ready(server, config);
	configure_models(server, config);
	configure_pages(server, config);
}

static void forget_list(struct model_server *server)
{
	call_cancel(server->list_call);
	server->list_call = NULL;
	server->asked = false;
}

static void take_key(struct model_server *server, const char *key)
{
	if (server->key && key && !strcmp(server->key, key))
		return;
	if (server->key)
		explicit_bzero(server->key, strlen(server->key));
	free(server->key);
	server->key = text_dup(key);
	forget_list(server); /* it may have been refused */
}

void catalog_update(struct model_server *server, const struct gateway_server_config *config)
{
	server->moved = server->on_gpu != config->on_gpu || server->gpu_mask != config->gpu_mask;
	server->on_gpu = config->on_gpu;
	server->gpu_mask = config->gpu_mask;
	server->vram_bytes = config->vram_bytes;
	server->idle_ms = config->idle_ms;
	server->silence_ms = config->silence_ms;
	server->parallel = config->parallel;
	take_ready(server, config);
	take_key(server, config->key);

	server_models(model, server)
	{
		if (!model->configured)
			continue;
		model->configured = false;
		free(model->alias);
		model->alias = NULL;
	}
	configure_models(server, config);
	configure_pages(server, config);
	server_models(model, server) if (!model->configured) model->vram_bytes = 0;

	list_remove(&server->in_catalog); /* the order is the configuration's */
	list_append(&server->catalog->servers, &server->in_catalog);
}

void catalog_retire(struct model_server *server)
{
	forget_list(server);
	server->removed = true;
}

void catalog_revive(struct model_server *server)
{
	server->removed = false;
	server_models(model, server) model->leaves = false;
}

void catalog_remove(struct model_server *server)
{
	free_server(server);
}

struct model_server *catalog_add_worker(struct catalog *catalog, struct worker *worker,
					const char *name, const char *principal)
{
	static const struct adapter adapter = {.kind = "worker"};
	struct model_server *server = open_server(catalog, name);

	server->adapter = &adapter;
	server->worker = worker;
	server->principal = text_dup(principal);
	server->asked = server->up = true;
	return server;
}

void catalog_offer(struct model_server *server, const struct catalog_offer *offer)
{
	struct model *model = catalog_model(server, offer->name);

	model->listed = true;
	model->routes = offer->routes;
	model->vram_bytes = offer->vram_bytes;
	model->residence = offer->loaded ? RESIDENCE_READY : RESIDENCE_NONE;
}

void catalog_offer_none(struct model_server *server)
{
	list_each (it, next, &server->models) {
		struct model *model = container_of(it, struct model, in_server);
		model->listed = false;
		if (model->running == 0)
			free_model(model);
	}
}

/* "server/name" names one server's model. */
static bool model_answers_to(const struct model *model, const char *name)
{
	const struct adapter *adapter = model->server->adapter;
	size_t prefix = strlen(model->server->name);

	if (adapter_same_model(adapter, model->name, name) ||
	    (model->alias && !strcmp(model->alias, name)))
		return true;
	return !strncmp(name, model->server->name, prefix) && name[prefix] == '/' &&
	       adapter_same_model(adapter, name + prefix + 1, model->name);
}

/* Whether a model can do what is wished. */
static bool model_suits(const struct model *model, const struct catalog_wish *wish)
{
	if (wish->server && wish->server != model->server)
		return false;
	if (!catalog_allows(wish, model) || !model_answers_to(model, wish->name))
		return false;
	return !wish->route || !model->routes || model->routes & api_route_bit(wish->route);
}

/* How soon it could begin, as far as is known: the smallest is best. */
static unsigned rank_of(const struct model *model)
{
	const struct model_server *server = model->server;
	bool loaded = model->residence == RESIDENCE_READY;

	if (server->worker && !server_has_room(server))
		return 4;
	if (server->worker)
		return loaded ? 1 : 3;
	if (server->asked && !server->up && !server->cmd)
		return 5;
	return loaded || !server->on_gpu ? 0 : 2;
}

/* Of two that suit, whether the later one is to be asked. Servers stand in the configuration's
 * order. */
static bool is_better(const struct model *later, const struct model *model)
{
	unsigned rank = rank_of(later), other = rank_of(model);

	if (!later->server->worker && !model->server->worker)
		return other == 5 && rank != 5;
	return rank < other || (rank == other && later->server->worker && model->server->worker &&
				later->server->running < model->server->running);
}

struct model *catalog_find(const struct catalog *catalog, const struct catalog_wish *wish)
{
	struct model *found = NULL;

	catalog_servers(server, catalog)
	{
		server_models(model, server)
		{
			if (model_suits(model, wish) && (!found || is_better(model, found)))
				found = model;
		}
	}
	return found;
}

static unsigned count_models(const struct model_server *server)
{
	unsigned count = 0;

	server_models(model, server) count++;
	return count;
}

static void on_found(void *ctx, const struct adapter_model *found)
{
	struct model_server *server = ctx;
	struct model *model;

	if (!named_model(server, found->name) && count_models(server) >= CATALOG_MODELS_MAX)
		return;

	model = catalog_model(server, found->name);
	model->listed = true;
	model->file_bytes = found->bytes;
}

static void on_list(void *ctx, const struct call_answer *answer)
{
	struct model_server *server = ctx;

	server->list_call = NULL;
	server->up = answer->err == 0 && answer->status == 200;
	if (server->up) {
		server_models(model, server) model->listed = false;
		server->up =
			server->adapter->read_list(answer->body, answer->length, on_found, server);
	}
	if (answer->err == ERR_UPSTREAM_UNREACHABLE)
		residence_server_gone(server, loop_now());
	if (server->up)
		residence_listed(server, loop_now());
	server->catalog->on_change(server->catalog->ctx);
}

int catalog_call(const struct model_server *server, const struct adapter_call *what,
		 const char *model, int time_ms, call_done *done, void *ctx, struct call **ret_call)
{
	cleanup_text struct text url = {0}, body = {0};
	struct call_question question = {
		.method = what->method, .key = server->key, .time_ms = time_ms};

	text_str(&url, server->url);
	adapter_fill_path(&url, what->path, model);
	question.url = url.bytes;
	if (what->body) {
		adapter_fill_body(&body, what->body, model);
		question.body = body.bytes;
	}
	return call_start(server->catalog->upstream, &question, done, ctx, ret_call);
}

static void ask_list(struct model_server *server, struct mono_ms now)
{
	server->asked = true;
	server->asked_at = now;
	if (catalog_call(server, &server->adapter->list, "", LIST_TIME_MS, on_list, server,
			 &server->list_call) != 0)
		server->up = false;
}

bool catalog_refresh(struct catalog *catalog, struct mono_ms now)
{
	catalog_servers(server, catalog)
	{
		if (server->worker || !server->adapter->list.method)
			continue; /* it says by itself what it has, or cannot be asked */
		bool fresh = server->asked &&
			     mono_before(now, mono_after(server->asked_at, CATALOG_LIST_AGE_MS));

		if (!server->list_call && !fresh && !server->removed && !server->cmd)
			ask_list(server, now);
	}
	return catalog_pending(catalog);
}

bool catalog_pending(const struct catalog *catalog)
{
	catalog_servers(server, catalog) if (server->list_call) return true;
	return false;
}

/* Levenshtein's distance (1966), of names without regard to case; long ones are cut. */
static unsigned distance_of(const char *a, const char *b)
{
	enum { LONGEST = 64 };
	unsigned row[LONGEST + 1];
	size_t length = strnlen(b, LONGEST);

	for (size_t j = 0; j <= length; j++)
		row[j] = (unsigned)j;

	for (size_t i = 0; a[i] && i < LONGEST; i++) {
		unsigned corner = row[0];
		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < length; j++) {
			unsigned above = row[j + 1];
			unsigned change = corner + (tolower((unsigned char)a[i]) !=
						    tolower((unsigned char)b[j]));
			unsigned step = 1 + (above < row[j] ? above : row[j]);
			row[j + 1] = change < step ? change : step;
			corner = above;
		}
	}
	return row[length];
}

struct near_name {
	const char *name;
	unsigned distance;
};

static void keep_nearest(struct near_name *best, const char *name, const char *asked)
{
	bool inside = strcasestr(name, asked) || strcasestr(asked, name);
	struct near_name one = {name, inside ? 0 : distance_of(name, asked)};

	if (one.distance > strlen(asked) / 2)
		return;
	for (int i = 0; i < NEAREST_COUNT; i++) {
		if (best[i].name && best[i].distance <= one.distance)
			continue;
		struct near_name moved = best[i];
		best[i] = one;
		one = moved;
		if (!one.name)
			return;
	}
}

void catalog_nearest(const struct catalog *catalog, const struct catalog_wish *wish,
		     struct text *out)
{
	struct near_name best[NEAREST_COUNT] = {0};

	catalog_servers(server, catalog)
	{
		server_models(model, server)
		{
			if (!catalog_allows(wish, model))
				continue;
			keep_nearest(best, model->name, wish->name);
			if (model->alias)
				keep_nearest(best, model->alias, wish->name);
		}
	}

	for (int i = 0; i < NEAREST_COUNT && best[i].name; i++)
		text_format(out, "%s`%s`", i ? ", " : "", best[i].name);
}

bool catalog_allows(const struct catalog_wish *wish, const struct model *model)
{
	return model_is_for(model, wish->principal) && model_is_among(model, wish->models);
}
