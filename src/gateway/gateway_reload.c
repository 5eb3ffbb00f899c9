/* gateway_reload: the configuration's model servers, read again. One that is gone, or is another
 * one now behind its name, gets nothing new: what runs there is finished, its models leave memory,
 * then it is forgotten. Who waits there is sent to whoever serves the model now. */
#include <string.h>

#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/proxy.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"
#include "net/loop.h"

static struct model_server *server_named(const struct catalog *catalog, const char *name)
{
	catalog_servers(server, catalog)
	{
		if (server->configured && !server->removed && !strcmp(server->name, name))
			return server;
	}
	return NULL;
}

static bool server_stays(const struct model_server *server, const struct gateway_options *options)
{
	for (unsigned i = 0; i < options->server_count; i++)
		if (catalog_is(server, &options->servers[i]))
			return true;
	return false;
}

/* What is left of one that was removed: it is the same one if it comes back. */
static void revive_servers(struct gateway *gateway, const struct gateway_options *options)
{
	catalog_servers(server, &gateway->catalog)
	{
		if (server->removed && server_stays(server, options))
			catalog_revive(server);
	}
}

static void remove_missing(struct gateway *gateway, const struct gateway_options *options)
{
	catalog_servers(server, &gateway->catalog)
	{
		if (server->configured && !server->removed && !server_stays(server, options))
			catalog_retire(server);
	}
}

static void take_servers(struct gateway *gateway, const struct gateway_options *options)
{
	for (unsigned i = 0; i < options->server_count; i++) {
		const struct gateway_server_config *config = &options->servers[i];
		struct model_server *server = server_named(&gateway->catalog, config->name);

		if (server)
			catalog_update(server, config);
		else
			catalog_add(&gateway->catalog, config);
	}
}

/* Its place in memory is not one where it may be now. */
static bool is_misplaced(const struct model *model)
{
	const struct model_server *server = model->server;

	if (server->moved && model->residence == RESIDENCE_QUEUED)
		return true;
	return !model_is_offered(model) || !server->on_gpu ||
	       (server->gpu_mask && (model->gpus & server->gpu_mask) != model->gpus);
}

static void retire_models(struct gateway *gateway, struct mono_ms now)
{
	catalog_servers(server, &gateway->catalog)
	{
		if (server->worker)
			continue; /* a tab stands in no configuration */
		server_models(model, server)
		{
			if (model->residence != RESIDENCE_NONE && is_misplaced(model))
				residence_retire(&gateway->residences, model, now);
		}
	}
}

/* One that waits where nothing new begins, or not as it did. */
static bool must_ask_anew(const struct relay *relay)
{
	const struct model *model = relay->model;

	if (relay->stage == RELAY_RESOLVING || relay->stage == RELAY_WORKER)
		return true;
	if (relay->stage != RELAY_MODEL && relay->stage != RELAY_TURN)
		return false;
	return !model_is_offered(model) || model->leaves || model->server->moved;
}

static void send_elsewhere(struct gateway *gateway, struct mono_ms now)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);

		if (!must_ask_anew(relay))
			continue;
		relay_leave_queue(gateway, relay);
		relay_resolve(gateway, relay, now);
	}
}

int gateway_listen(struct gateway *gateway, const struct gateway_options *options,
		   unsigned *ret_failed, char *detail, size_t detail_size)
{
	return proxies_listen(gateway, options->servers, options->server_count, ret_failed, detail,
			      detail_size);
}

void gateway_reload(struct gateway *gateway, const struct gateway_options *options)
{
	struct mono_ms now = loop_now();

	gateway->options = *options;
	gateway->residences.finish_ms = options->finish_ms;
	gateway->residences.load_ms_max = options->load_ms_max;
	gateway->residences.unload_ms_max = options->unload_ms_max;

	remove_missing(gateway, options);
	revive_servers(gateway, options);
	take_servers(gateway, options);
	retire_models(gateway, now);
	catalog_refresh(&gateway->catalog, now);
	send_elsewhere(gateway, now);
	proxies_ask_anew(gateway, now);
	catalog_servers(server, &gateway->catalog) server->moved = false;
	proxies_take(gateway, options->servers, options->server_count, now);
	gateway_look_later(gateway);
}

static bool is_used(const struct gateway *gateway, const struct model_server *server)
{
	server_models(model, server) if (model->residence != RESIDENCE_NONE) return true;

	list_each (it, next, &gateway->relays) {
		const struct relay *relay = container_of(it, struct relay, link);
		if (relay->model && relay->model->server == server)
			return true;
	}
	return proxies_use(gateway, server);
}

void gateway_forget_removed(struct gateway *gateway)
{
	list_each (it, next, &gateway->catalog.servers) {
		struct model_server *server = container_of(it, struct model_server, in_catalog);
		if (server->removed && !is_used(gateway, server))
			catalog_remove(server);
	}
}
