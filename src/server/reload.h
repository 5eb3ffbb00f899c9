/* reload: the configuration again, whole or not at all; and all that follow it. */
#pragma once
#include "base/mono.h"
#include "server/trail.h"

struct access_setup;
struct active_config;
struct broker;
struct content_policies;
struct endpoints;
struct gpu_sampler;
struct key_keeper;
struct log;
struct loop;
struct store;

enum { RELOAD_SETTLE_MS = 200 };

/* Who follows the model servers: a room above this one. As inference_read, inference_take and
 * inference_shut_out; NULL: nobody. */
struct reload_upstreams {
	int (*read)(void *ctx, const struct settings *next, char *detail, size_t detail_size);
	void (*take)(void *ctx, const struct settings *now);
	void (*shut_out)(void *ctx, const char *principal);
	void *ctx;
};

/* The pointers are borrowed. */
struct reload {
	struct active_config *active;
	struct access_setup *access;
	const struct key_keeper *keys;
	struct content_policies *policies;
	struct endpoints *endpoints; /* what came by a key ends with it */
	struct broker *broker;       /* its store names the GPUs, its core learns by an event */
	struct gpu_sampler *gpus;
	struct reload_upstreams upstreams;
	struct log *log;
	struct trail trail;
	struct mono_ms due; /* MONO_NEVER: nothing changed since the file was read */
};

/* Says in the journal which GPUs these are, see store_gpus. */
int reload_name_gpus(struct store *store, const struct core_config *config, bool may_move);
/* Reads, checks and applies; leases and places are untouched. 0, or -ERR_CONFIG with detail and
 * nothing changed. Logs what happened. */
int reload_settings(struct reload *reload, struct settings_change *ret_change, char *detail,
		    size_t detail_size);
/* Other GPUs were found, or more of them is known; on_changed of gpu_sampler, `ctx` is the reload.
 */
void reload_gpus(void *ctx);
/* Puts the active settings in force: class rules, origins, log level. */
void reload_apply(struct reload *reload);

/* Keys were made or ended: who may do what follows; `changed` of key_keeper, `ctx` is the reload.
 */
void reload_rights(void *ctx);
/* The key of that name is good no longer: what came by it ends. */
void reload_shut_out(const struct reload *reload, const char *key);
/* At the start: the same of keys that went, or became others, while no broker ran. */
void reload_end_unknown(const struct reload *reload);

/* Watches the file and the way to it, so that saving it, or switching a link, is enough; a file
 * still being written is waited for. */
void reload_watch(struct reload *reload, struct loop *loop);
/* Reads the file again if that is due; returns when to ask again. */
struct mono_ms reload_when_due(struct reload *reload, struct mono_ms now);
void reload_end(struct reload *reload);
