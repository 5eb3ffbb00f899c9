/* reload: the configuration again, whole or not at all. */
#pragma once
#include "config/settings.h"
#include "server/trail.h"

struct server;
struct store;

/* Says in the journal which GPUs these are, see store_gpus. */
int reload_name_gpus(struct store *store, const struct core_config *config, bool may_move);
/* Reads, checks and applies; leases and places are untouched. 0, or -ERR_CONFIG with detail and
 * nothing changed. Logs what happened. */
int reload_settings(struct server *server, struct settings_change *ret_change, char *detail,
		    size_t detail_size);
/* The server: other GPUs were found, or more of them is known. */
void reload_gpus(void *server);
/* Puts settings in force: class rules, origins, log level; the core learns by an event. */
void reload_apply(struct server *server, const struct settings *settings);

/* Watches the file and the way to it, so that saving it, or switching a link, is enough; a file
 * still being written is waited for. */
enum { RELOAD_SETTLE_MS = 200 };
struct reload_watch {
	struct trail trail;
	struct mono_ms due; /* MONO_NEVER: nothing changed since it was read */
};
void reload_watch_begin(struct server *server, struct reload_watch *watch);
/* Reads the file again if that is due; returns when to ask again. */
struct mono_ms reload_when_due(struct server *server, struct mono_ms now);
void reload_watch_end(struct reload_watch *watch);
