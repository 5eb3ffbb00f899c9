/* catalog: which models can be asked for, and who serves them: those that the configuration names,
 * and those that its servers list. Lists are asked for when somebody needs them and the last one is
 * old; a server that does not answer keeps what it had, flagged as down. */
#pragma once
#include <stdint.h>

#include "base/list.h"
#include "base/mono.h"
#include "gateway/call.h"

struct adapter_call;
struct api_route;
struct call;
struct gateway_rule;
struct model;
struct model_server;
struct residences;
struct text;
struct upstream;
struct worker;

enum { CATALOG_LIST_AGE_MS = 10000, CATALOG_MODELS_MAX = 1024 };

struct gateway_model_config {
	const char *name, *alias; /* alias may be NULL */
	uint64_t vram_bytes;      /* 0: not said */
};

struct gateway_server_config {
	const char *name, *kind, *url, *key;
	bool on_gpu;
	uint32_t gpu_mask;
	uint64_t vram_bytes;
	const struct gateway_model_config *models;
	unsigned model_count;
	/* How it is started, for its one model; cmd_count 0: it is not. Words one behind the other,
	 * each with its NUL. */
	const char *cmd, *env;
	unsigned cmd_count, env_count;
	const char *ready;  /* the path that answers 200 then; "": its list */
	int64_t idle_ms;    /* 0: it is not stopped for being idle */
	int64_t silence_ms; /* a request that moved no byte for so long is given up */
	unsigned parallel;  /* requests that it works on at once */
	/* Of its pages. */
	const char *listen; /* "": nowhere */
	const struct gateway_rule *rules;
	unsigned rule_count;
	int64_t wait_ms; /* 0: as its kind says */
};

/* What is looked for. */
struct catalog_wish {
	const char *name;
	const struct api_route *route;     /* that it must answer; NULL: any */
	const char *principal;             /* whose request it is; NULL: anybody's */
	const char *models;                /* that it may know, see model_is_among */
	const struct model_server *server; /* that one alone; NULL: any */
};

struct catalog_offer {
	const char *name;
	uint32_t routes; /* bits of api.h */
	bool loaded;
	uint64_t vram_bytes; /* 0: not said */
};

struct catalog {
	struct list servers; /* in the configuration's order */
	struct upstream *upstream;
	struct residences *residences; /* of its models; set by their owner */
	void (*on_change)(void *ctx);  /* a list came, or did not come */
	void *ctx;
};

void catalog_init(struct catalog *catalog, struct upstream *upstream, void (*on_change)(void *ctx),
		  void *ctx);
void catalog_finish(struct catalog *catalog);
/* A server of the configuration; its kind was checked before. Aborts without memory. */
void catalog_add(struct catalog *catalog, const struct gateway_server_config *config);
/* Whether it is this one: kind, url and command are the same. */
bool catalog_is(const struct model_server *server, const struct gateway_server_config *config);
/* The same one with another key, other models or GPUs; goes behind all others. */
void catalog_update(struct model_server *server, const struct gateway_server_config *config);
/* It is offered no more; once nothing of it runs or is in memory, catalog_remove. */
void catalog_retire(struct model_server *server);
/* It was retired, and stands in the configuration again; what leaves memory goes on leaving. */
void catalog_revive(struct model_server *server);
void catalog_remove(struct model_server *server);
/* A tab; what it offers comes by catalog_offer. Aborts without memory. */
struct model_server *catalog_add_worker(struct catalog *catalog, struct worker *worker,
					const char *name, const char *principal);
/* The server's model of that name; one that it is not known to have is added, and not offered. */
struct model *catalog_model(struct model_server *server, const char *name);
/* A tab has this model; one that is not offered any more is forgotten once nothing runs there. */
void catalog_offer(struct model_server *server, const struct catalog_offer *offer);
void catalog_offer_none(struct model_server *server);
/* Whether the one who asks may know that there is this model. */
bool catalog_allows(const struct catalog_wish *wish, const struct model *model);
/* By alias, by name, or by "server/name". What is in memory goes before what must be loaded, who is
 * free before who is not, a server before a tab; of servers, the first that is up. NULL: none. */
struct model *catalog_find(const struct catalog *catalog, const struct catalog_wish *wish);
/* Asks every server whose list is older than CATALOG_LIST_AGE_MS. True: some answer is awaited. */
bool catalog_refresh(struct catalog *catalog, struct mono_ms now);
bool catalog_pending(const struct catalog *catalog);
/* A call of its adapter to a server, `model` in its place. As call_start. */
int catalog_call(const struct model_server *server, const struct adapter_call *what,
		 const char *model, int time_ms, call_done *done, void *ctx,
		 struct call **ret_call);
/* Up to three names that are like the wish's, of those that its principal may know, as "`a`, `b`";
 * nothing when none is. */
void catalog_nearest(const struct catalog *catalog, const struct catalog_wish *wish,
		     struct text *out);

/* No model may be added in the body. */
#define catalog_servers(it, catalog)                                                               \
	for (struct model_server *it = catalog_server_after(catalog, NULL); it;                    \
	     it = catalog_server_after(catalog, it))
#define server_models(it, server)                                                                  \
	for (struct model *it = catalog_model_after(server, NULL); it;                             \
	     it = catalog_model_after(server, it))
struct model_server *catalog_server_after(const struct catalog *catalog,
					  const struct model_server *server);
struct model *catalog_model_after(const struct model_server *server, const struct model *model);
