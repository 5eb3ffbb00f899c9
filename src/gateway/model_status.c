/* model_status: what people see: where each model stands, the requests on their way, and what
 * switches cost. Whoever looks sees the models that it may know, and for whom a switch was where
 * that was itself; the operator sees all. */
#include <string.h>

#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/model_status.h"
#include "gateway/proxy.h"
#include "gateway/relay.h"
#include "gateway/wait_words.h"
#include "json/json_writer.h"
#include "wire/sight.h"
#include "wire/told.h"

/* A model is on one GPU. */
static void add_gpu(struct text *out, const struct gateway_viewer *viewer, uint32_t gpus)
{
	text_json_str(out, "gpu", gpus ? viewer->gpus[__builtin_ctz(gpus)] : NULL);
}

static void add_model_state(struct text *out, const struct gateway_viewer *viewer,
			    const struct model *model, struct mono_ms now)
{
	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "model", model->name);
	text_json_str(out, "alias", model->alias);
	text_json_str(out, "server", model->server->name);
	text_json_bool(out, "down", model->server->asked && !model->server->up);

	text_json_str(out, "state",
		      residence_name(model->leaves && model->residence == RESIDENCE_READY
					     ? RESIDENCE_LEAVING
					     : model->residence));
	text_json_u64(out, "vram_mb", model_vram_bytes(model) >> 20);
	text_json_u64(out, "running", model->running);
	text_json_u64(out, "lease", model->lease);
	add_gpu(out, viewer, model->gpus);

	text_json_seconds_or_null(out, "load_s", model->load_ms > 0 ? model->load_ms : -1);
	text_json_str(out, "failure", model->failures ? model->failure : NULL);
	text_json_seconds_or_null(out, "retry_in_s",
				  model->failures && mono_before(now, model->retry_at)
					  ? mono_since(model->retry_at, now)
					  : -1);
	text_char(out, '}');
}

static bool may_know(const struct model *model, const struct gateway_client *client)
{
	return !client || (server_is_for(model->server, client->principal) &&
			   model_is_among(model, client->models));
}

static bool is_shown(const struct model *model, const struct gateway_client *client)
{
	return may_know(model, client) &&
	       (model_is_offered(model) || model->residence != RESIDENCE_NONE);
}

/* What a request asks for, if this one may know that there is such a model; else "". */
static const char *asked_model(const struct gateway *gateway, const struct relay *relay,
			       const struct gateway_client *client)
{
	bool own = !client || !strcmp(relay->principal, client->principal);

	if (relay->model)
		return own || may_know(relay->model, client) ? relay->model->name : "";

	const struct catalog_wish wish = {.name = relay->model_name,
					  .principal = client ? client->principal : NULL,
					  .models = client ? client->models : NULL};
	return own || catalog_find(&gateway->catalog, &wish) ? relay->model_name : "";
}

static void add_request_state(struct text *out, const struct gateway_viewer *viewer,
			      const struct relay *relay, const char *model, struct mono_ms now)
{
	static const char *const stages[] = {
		[RELAY_RECEIVING] = "receiving",       [RELAY_RESOLVING] = "resolving",
		[RELAY_MODEL] = "waits for its model", [RELAY_TURN] = "waits for its turn",
		[RELAY_FORWARDED] = "running",         [RELAY_SETTLING] = "left",
		[RELAY_WORKER] = "waits for a tab",
	};
	bool granted = relay->granted.v != MONO_NEVER.v;
	bool answered = relay->first_byte.v != MONO_NEVER.v;
	bool told = sight_tells(viewer->sight, relay->principal);

	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "client", told ? relay_client(relay) : "");
	if (told)
		text_json_str(out, "principal", relay->principal);
	text_json_str(out, "path", relay->route->path);
	text_json_str(out, "model", model);
	text_json_str(out, "class", lease_class_name(relay->cls));
	text_json_str(out, "state", stages[relay->pending ? RELAY_FORWARDED : relay->stage]);
	text_json_u64(out, "lease", relay->lease);
	text_json_u64(out, "claim", wait_words_claim(relay));
	text_json_seconds(out, "waited_s",
			  mono_since(granted ? relay->granted : now, relay->since));
	text_json_seconds_or_null(out, "running_s", granted ? mono_since(now, relay->granted) : -1);
	text_json_seconds_or_null(out, "first_byte_s",
				  answered ? mono_since(relay->first_byte, relay->granted) : -1);
	text_char(out, '}');
}

/* By its alias, too, while it is there. Tabs have no switches. */
static bool may_know_of(const struct gateway *gateway, const struct switch_model *named,
			const struct gateway_client *client)
{
	if (!client || !client->models)
		return true;

	catalog_servers(server, &gateway->catalog)
	{
		server_models(model, server)
		{
			if (!strcmp(model->name, named->name) &&
			    !strcmp(server->name, named->server))
				return may_know(model, client);
		}
	}
	return false;
}

/* Who left, by name where that may be known. */
static void add_left(struct text *out, const struct gateway *gateway,
		     const struct gateway_client *client, const struct switch_left *left)
{
	bool known = may_know_of(gateway, &left->model, client);

	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "model", known ? left->model.name : "");
	text_json_str(out, "server", known ? left->model.server : "");
	text_json_seconds_or_null(out, "took_s", left->took_ms);
	text_char(out, '}');
}

static void add_switch(struct text *out, const struct gateway *gateway,
		       const struct gateway_viewer *viewer, const struct switch_entry *entry,
		       struct mono_ms now)
{
	const struct gateway_client *client = viewer->client;
	bool told = sight_tells(viewer->sight, entry->principal);

	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "model", entry->model.name);
	text_json_str(out, "server", entry->model.server);
	text_json_str(out, "state", switch_stage_name(entry->stage));
	text_json_key(out, "at");
	text_char(out, '"');
	encode_time(out, entry->at);
	text_char(out, '"');
	text_json_seconds(out, "since_s", mono_since(now, entry->since));

	text_json_str(out, "client", told ? entry->client : NULL);
	text_json_str(out, "class", lease_class_name(entry->cls));
	add_gpu(out, viewer, entry->gpus);
	text_json_seconds_or_null(out, "waited_s", entry->waited_ms);
	text_json_seconds_or_null(out, "load_s", entry->load_ms);

	text_json_key(out, "left");
	text_char(out, '[');
	for (unsigned i = 0; i < entry->left_count; i++)
		add_left(out, gateway, client, &entry->left[i]);
	text_str(out, "]}");
}

/* The newest first. */
static void add_switches(struct text *out, const struct gateway *gateway,
			 const struct gateway_viewer *viewer, struct mono_ms now)
{
	const struct switch_entry *entry = switch_log_before(&gateway->switches, NULL);

	for (; entry; entry = switch_log_before(&gateway->switches, entry))
		if (may_know_of(gateway, &entry->model, viewer->client))
			add_switch(out, gateway, viewer, entry, now);
}

void gateway_status(const struct gateway *gateway, const struct gateway_viewer *viewer,
		    struct text *out, struct mono_ms now)
{
	const struct gateway_client *client = viewer->client;

	text_json_key(out, "models");
	text_char(out, '[');
	catalog_servers(server, &gateway->catalog)
	{
		server_models(model, server) if (is_shown(model, client))
			add_model_state(out, viewer, model, now);
	}
	text_char(out, ']');

	proxies_status(gateway, out);
	text_json_key(out, "requests");
	text_char(out, '[');
	list_each (it, next, &gateway->relays) {
		const struct relay *relay = container_of(it, struct relay, link);
		add_request_state(out, viewer, relay, asked_model(gateway, relay, client), now);
	}
	if (!client || !client->models)
		proxied_status(gateway, out, now);
	text_char(out, ']');

	text_json_key(out, "switches");
	text_char(out, '[');
	add_switches(out, gateway, viewer, now);
	text_char(out, ']');
}
