/* model_status: what people see: where each model stands, and the requests on their way. */
#include <string.h>

#include "gateway/gateway_impl.h"
#include "gateway/proxy_impl.h"

static void add_model_state(struct text *out, const struct model *model, struct mono_ms now)
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

static void add_request_state(struct text *out, const struct relay *relay, const char *model,
			      struct mono_ms now)
{
	static const char *const stages[] = {
		[RELAY_RECEIVING] = "receiving",       [RELAY_RESOLVING] = "resolving",
		[RELAY_MODEL] = "waits for its model", [RELAY_TURN] = "waits for its turn",
		[RELAY_FORWARDED] = "running",         [RELAY_SETTLING] = "left",
		[RELAY_WORKER] = "waits for a tab",
	};
	bool granted = relay->granted.v != MONO_NEVER.v;

	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "client", relay->name);
	text_json_str(out, "path", relay->route->path);
	text_json_str(out, "model", model);
	text_json_str(out, "class", lease_class_name(relay->cls));
	text_json_str(out, "state", stages[relay->stage]);
	text_json_u64(out, "lease", relay->lease);
	text_json_seconds(out, "waited_s",
			  mono_since(granted ? relay->granted : now, relay->since));
	text_json_seconds_or_null(out, "running_s", granted ? mono_since(now, relay->granted) : -1);
	text_char(out, '}');
}

void gateway_status(const struct gateway *gateway, const struct gateway_client *client,
		    struct text *out, struct mono_ms now)
{
	text_json_key(out, "models");
	text_char(out, '[');
	catalog_servers(server, &gateway->catalog)
	{
		server_models(model, server) if (is_shown(model, client))
			add_model_state(out, model, now);
	}
	text_char(out, ']');

	proxies_status(gateway, out);
	text_json_key(out, "requests");
	text_char(out, '[');
	list_each (it, next, &gateway->relays) {
		const struct relay *relay = container_of(it, struct relay, link);
		add_request_state(out, relay, asked_model(gateway, relay, client), now);
	}
	if (!client || !client->models)
		proxied_status(gateway, out, now);
	text_char(out, ']');
}
