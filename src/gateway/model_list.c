/* model_list: the models that can be asked for, in the shapes that clients list them in. From what
 * is known: a server that does not answer holds nothing up. */
#include <string.h>

#include "base/err.h"
#include "gateway/api_error.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/model_list.h"
#include "json/json_writer.h"
#include "net/http.h"
#include "net/http_reply.h"
#include "net/loop.h"

static const char *shown_name(const struct model *model)
{
	return model->alias ? model->alias : model->name;
}

static void add_openai(struct text *out, const struct model *model)
{
	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "id", shown_name(model));
	text_json_str(out, "object", "model");
	text_json_u64(out, "created", 0);
	text_json_str(out, "owned_by", model->server->name);
	text_json_bool(out, "down", model->server->asked && !model->server->up);
	text_char(out, '}');
}

static void add_ollama(struct text *out, const struct model *model)
{
	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "name", shown_name(model));
	text_json_str(out, "model", shown_name(model));
	text_json_u64(out, "size", model->file_bytes);
	text_char(out, '}');
}

/* Of those that can be asked for, the first of a name stands for all that have it. */
static bool is_listed(const struct catalog *catalog, const struct model *model,
		      const struct catalog_wish *wish)
{
	if (!catalog_allows(wish, model))
		return false;

	catalog_servers(server, catalog)
	{
		server_models(other, server)
		{
			if (catalog_allows(wish, other) &&
			    !strcmp(shown_name(other), shown_name(model)))
				return other == model;
		}
	}
	return false;
}

static void add_models(struct text *out, const struct catalog *catalog, enum api_wire wire,
		       const struct catalog_wish *wish)
{
	catalog_servers(server, catalog)
	{
		server_models(model, server)
		{
			if (!is_listed(catalog, model, wish))
				continue;
			if (wire == API_OLLAMA)
				add_ollama(out, model);
			else
				add_openai(out, model);
		}
	}
}

static void reply_json(struct gateway *gateway, uint64_t conn, int status, const struct text *body,
		       const struct gateway_client *client)
{
	struct http_header headers[3] = {{"Content-Type", "application/json"}};
	size_t count = 1;

	if (client->origin) {
		headers[count++] =
			(struct http_header){"Access-Control-Allow-Origin", client->origin};
		headers[count++] = (struct http_header){"Vary", "Origin"};
	}
	http_reply(gateway->net, conn, status, headers, count, body->bytes, body->length);
}

static void reply_one(struct gateway *gateway, uint64_t conn, const char *id,
		      const struct gateway_client *client)
{
	cleanup_text struct text body = {0}, words = {0};
	const struct catalog_wish wish = {
		.name = id, .principal = client->principal, .models = client->models};
	const struct model *model = catalog_find(&gateway->catalog, &wish);

	if (model) {
		add_openai(&body, model);
		reply_json(gateway, conn, 200, &body, client);
		return;
	}

	text_format(&words, "No model `%s` is served here. GET /v1/models lists all.", id);
	api_error_body(&body, API_OPENAI,
		       &(struct api_error){.err = ERR_MODEL_NOT_FOUND, .message = words.bytes});
	reply_json(gateway, conn, 404, &body, client);
}

void gateway_models(struct gateway *gateway, uint64_t conn, enum api_wire wire, const char *id,
		    const struct gateway_client *client)
{
	cleanup_text struct text body = {0};
	const struct catalog_wish any = {.principal = client->principal, .models = client->models};

	catalog_refresh(&gateway->catalog, loop_now());
	if (id) {
		reply_one(gateway, conn, id, client);
		return;
	}

	text_str(&body, wire == API_OLLAMA ? "{\"models\":[" : "{\"object\":\"list\",\"data\":[");
	add_models(&body, &gateway->catalog, wire, &any);
	text_str(&body, "]}");
	reply_json(gateway, conn, 200, &body, client);
}
