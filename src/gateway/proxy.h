/* proxy: the listeners of servers that people use by their pages; part of the gateway. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/mono.h"

struct gateway;
struct gateway_server_config;
struct model_server;
struct text;

void proxies_init(struct gateway *gateway, const char *held_dir);
/* The configured servers: listeners that are not there are opened, for proxies_take. 0, or the
 * error of the first that cannot be, with its place, and nothing changed. */
int proxies_listen(struct gateway *gateway, const struct gateway_server_config *servers,
		   unsigned count, unsigned *ret_failed, char *detail, size_t detail_size);
/* The configuration was read; before it is, those that were opened can be let go (count 0). */
void proxies_take(struct gateway *gateway, const struct gateway_server_config *servers,
		  unsigned count, struct mono_ms now);
/* What an earlier broker held. */
void proxies_resume(struct gateway *gateway);
void proxies_drain(struct gateway *gateway);
void proxies_finish(struct gateway *gateway);
void proxies_tick(struct gateway *gateway, struct mono_ms now);
struct mono_ms proxies_next(const struct gateway *gateway);
bool proxies_use(const struct gateway *gateway, const struct model_server *server);
/* Who waits where nothing new begins asks anew. */
void proxies_ask_anew(struct gateway *gateway, struct mono_ms now);
/* Members of a JSON object's lists: "pages":[..], and items of "requests". */
void proxies_status(const struct gateway *gateway, struct text *out);
void proxied_status(const struct gateway *gateway, struct text *out, struct mono_ms now);
