/* reload: the configuration again, whole or not at all. */
#pragma once
#include "server/settings.h"

struct shell;

/* Reads, checks and applies; leases and places are untouched. 0, or -ERR_CONFIG with detail and
 * nothing changed. Logs what happened. */
int reload_settings(struct shell *shell, struct settings_change *ret_change, char *detail,
		    size_t detail_size);
/* Puts settings in force: class rules, origins, log level; the core learns by an event. */
void reload_apply(struct shell *shell, const struct settings *settings);

/* Watches the file, so that saving it is enough. */
struct reload_watch {
	struct loop_watch *watch;
	int fd;
	char name[256]; /* of the file in its folder */
};
void reload_watch_begin(struct shell *shell, struct reload_watch *watch);
void reload_watch_end(struct reload_watch *watch);
