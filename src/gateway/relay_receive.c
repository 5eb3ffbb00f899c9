/* relay_receive: the request as it comes: which model it names, and the rest kept until it can be
 * sent on. A form whose model is known need not be held whole: it stops being read while it waits.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/text.h"
#include "gateway/gateway_impl.h"
#include "gateway/model.h"
#include "gateway/relay.h"
#include "gateway/relay_impl.h"
#include "gateway/relay_receive.h"
#include "net/http.h"
#include "net/http_receive.h"
#include "net/loop.h"
#include "wire/http_decode.h"
#include "wire/route.h"

enum { FORM_AHEAD_BYTES = 1024 * 1024 };

/* Which of the client's fields the server gets: none that is about this connection, about the
 * browser, or Baton's own, and no secret that was shown to Baton. */
static bool field_goes_on(const struct http_field *field)
{
	static const char *const kept_back[] = {"connection",
						"keep-alive",
						"proxy-connection",
						"te",
						"trailer",
						"transfer-encoding",
						"upgrade",
						"host",
						"content-length",
						"expect",
						"authorization",
						"x-api-key",
						"api-key",
						"cookie",
						"origin",
						"referer",
						"accept-encoding",
						"forwarded",
						"via",
						"proxy-authorization",
						"x-real-ip",
						NULL};

	return !http_field_is_any(field, kept_back) && strncasecmp(field->name, "sec-", 4) != 0 &&
	       strncasecmp(field->name, "x-forwarded-", 12) != 0 &&
	       strncasecmp(field->name, "x-baton-", 8) != 0 &&
	       strncasecmp(field->name, "access-control-", 15) != 0;
}

char *relay_keep_fields(struct http_field_iterator all, size_t *ret_size)
{
	const struct http_hop_names hops = http_hop_names(all);
	struct http_field field;
	struct buf kept = {0};

	while (http_field_next(&all, &field)) {
		if (!field_goes_on(&field) || http_is_hop(&hops, &field))
			continue;
		if (buf_append(&kept, field.name, field.name_length) || buf_append(&kept, "", 1) ||
		    buf_append(&kept, field.value, field.value_length) || buf_append(&kept, "", 1))
			abort();
	}
	*ret_size = kept.length;
	return kept.bytes;
}

static struct relay *open_relay(struct gateway *gateway, const struct http_request *request,
				const struct api_route *route, const struct gateway_client *client)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		abort();

	relay->conn = request->conn;
	relay->route = route;
	relay->cls = route->cls;
	relay->streams = route->streams;
	relay->principal = text_dup(client->principal);
	relay->name = text_dup(client->name);
	relay->origin = client->origin ? text_dup(client->origin) : NULL;
	relay->models = client->models ? text_dup(client->models) : NULL;
	relay->query = text_dup(request->query);
	relay->body_bytes = request->body_bytes;
	relay->since = loop_now();
	relay->granted = relay->first_byte = MONO_NEVER;
	relay->due = relay->alive_at = relay->look_at = MONO_NEVER;
	relay->fields = relay_keep_fields(request->fields, &relay->fields_size);
	stream_watch_begin(&relay->watch, route->wire);

	list_init(&relay->in_model);
	list_init(&relay->link);
	list_append(&gateway->relays, &relay->link);
	hash_add(&gateway->by_conn, &relay->by_conn, hash_u64(relay->conn));
	return relay;
}

/* The header `x-baton-class`, or the route's class, or what is nearest to it of those that the
 * client may ask for. */
static int take_class(struct relay *relay, const struct http_request *request, uint32_t classes)
{
	char name[16];
	int cls;

	if (!http_field_text(request->fields, "x-baton-class", name, sizeof(name))) {
		relay->cls = class_nearest(classes, relay->cls);
		return 0;
	}

	cls = lease_class_from_name(name);
	if (cls < 0)
		return ERR_BAD_FIELD;
	relay->cls = (enum lease_class)cls;
	return classes >> cls & 1 ? 0 : ERR_CLASS;
}

/* Whether this one of a query's names is `model`, as any server might read it. */
static bool is_named_model(const char *at)
{
	size_t length = strcspn(at, "=&");
	char raw[64], name[64];

	if (length >= sizeof(raw))
		return false;
	memcpy(raw, at, length);
	raw[length] = '\0';
	return route_path_text(raw, name, sizeof(name)) && !strcasecmp(name, "model");
}

/* A model may be said beside the body: `?model=` or `x-baton-model`. False: in a way that others
 * might read differently. */
static bool take_model_aside(struct relay *relay, const struct http_request *request)
{
	const char *query = request->query;
	unsigned named = 0;

	for (const char *at = query; at && *at; at += *at == '&') {
		named += is_named_model(at);
		at += strcspn(at, "&");
	}
	if (named == 0) {
		if (!http_field_text(request->fields, "x-baton-model", relay->aside,
				     sizeof(relay->aside)))
			relay->aside[0] = '\0';
		return true;
	}
	return named == 1 &&
	       route_query_text(query, "model", relay->aside, sizeof(relay->aside)) == 1;
}

/* Whether there are more of its principal than may be. One whose client left is none. */
static bool is_one_too_many(const struct gateway *gateway, const struct gateway_client *client)
{
	uint32_t count = 0;

	list_each (it, next, &gateway->relays) {
		const struct relay *relay = container_of(it, struct relay, link);
		count += (relay->conn || relay->pending) &&
			 !strcmp(relay->principal, client->principal);
	}
	return client->requests_max && count > client->requests_max;
}

void gateway_request(struct gateway *gateway, const struct http_request *request,
		     const struct gateway_client *client)
{
	const struct api_route *route = api_route_of(request->path);
	struct relay *relay = open_relay(gateway, request, route, client);
	struct mono_ms now = relay->since;
	char words[160];
	int err;

	if (gateway->draining) {
		relay_fail(gateway, relay, ERR_DRAINING, err_text(ERR_DRAINING), 0);
		return;
	}
	if (is_one_too_many(gateway, client)) {
		snprintf(words, sizeof(words),
			 "%s has %u requests on their way, the most; try again when one is over.",
			 client->principal, client->requests_max);
		relay_fail(gateway, relay, ERR_QUOTA, words, 0);
		return;
	}
	err = take_class(relay, request, client->classes);
	if (err != 0) {
		relay_fail(gateway, relay, err,
			   err == ERR_CLASS ? err_text(err)
					    : "header `x-baton-class`: expected voice, chat, "
					      "normal or background",
			   0);
		return;
	}
	if (request->body_bytes > (int64_t)gateway->options.body_bytes_max &&
	    route->body == API_BODY_JSON) {
		relay_fail(gateway, relay, ERR_TOO_LARGE, err_text(ERR_TOO_LARGE), 0);
		return;
	}
	if (route->body == API_BODY_FORM && !form_scan_begin(&relay->form, request->content_type)) {
		relay_fail(gateway, relay, ERR_MEDIA_TYPE,
			   "This route takes multipart/form-data with a boundary.", 0);
		return;
	}

	if (!take_model_aside(relay, request)) {
		relay_fail(gateway, relay, ERR_BAD_FIELD, "query `model`: expected once, as text",
			   0);
		return;
	}
	if (relay->aside[0] && route->body == API_BODY_FORM) {
		snprintf(relay->model_name, sizeof(relay->model_name), "%s", relay->aside);
		relay_resolve(gateway, relay, now);
	}
	if (!request->streamed) /* it has no body */
		gateway_body_end(gateway, request->conn);
}

void gateway_stored(struct gateway *gateway, const struct http_request *request,
		    const struct gateway_client *client)
{
	stored_request_begin(&gateway->stored_requests, request, client);
	if (gateway->draining)
		stored_requests_end(&gateway->stored_requests, NULL, ERR_DRAINING,
				    err_text(ERR_DRAINING));
}

void gateway_shut_out(struct gateway *gateway, const char *principal)
{
	list_each (it, next, &gateway->relays) {
		struct relay *relay = container_of(it, struct relay, link);
		if (strcmp(relay->principal, principal) != 0)
			continue;
		if (relay->pending && relay->stage == RELAY_SETTLING)
			relay_stop_settling(gateway, relay);
		else if (relay->conn)
			relay_fail(gateway, relay, ERR_UNAUTHORIZED,
				   "The key that was shown is good no longer.", 0);
	}
	stored_requests_end(&gateway->stored_requests, principal, ERR_UNAUTHORIZED,
			    "The key that was shown is good no longer.");
	response_index_forget_all(&gateway->stored_requests.index, principal);
}

static struct relay *relay_of(const struct gateway *gateway, uint64_t conn)
{
	for (struct hash_node *node = hash_first(&gateway->by_conn, hash_u64(conn)); node;
	     node = hash_next(node)) {
		struct relay *relay = container_of(node, struct relay, by_conn);
		if (relay->conn == conn)
			return relay;
	}
	return NULL;
}

/* Holds what came. False: the relay ended. */
static bool keep_bytes(struct gateway *gateway, struct relay *relay, const char *bytes,
		       size_t length)
{
	uint64_t most = gateway->options.body_bytes_max;

	if (relay->body.length + length > most) {
		relay_fail(gateway, relay, ERR_TOO_LARGE,
			   relay->route->body == API_BODY_FORM
				   ? "The form is larger than the limit and names no model at its "
				     "beginning; put the field `model` first, or say ?model=."
				   : err_text(ERR_TOO_LARGE),
			   0);
		return false;
	}
	if (gateway->body_bytes + length > gateway->options.body_bytes_total ||
	    buf_append(&relay->body, bytes, length) != 0) {
		relay_fail(gateway, relay, ERR_NO_MEMORY,
			   "The requests that wait hold all the memory there is for them; try "
			   "again later.",
			   0);
		return false;
	}
	gateway->body_bytes += length;
	return true;
}

static void look_at_json(struct gateway *gateway, struct relay *relay, const char *bytes,
			 size_t length)
{
	char words[160];

	if (json_scan_take(&relay->scan, bytes, length))
		return;

	snprintf(words, sizeof(words), "The body cannot be read: %s.", relay->scan.problem);
	relay_fail(gateway, relay, ERR_BAD_JSON, words, 0);
}

/* A model that is said beside the body must be the body's. */
static bool says_another(const struct relay *relay, const char *said)
{
	return relay->aside[0] && strcmp(relay->aside, said) != 0;
}

static void refuse_another(struct gateway *gateway, struct relay *relay)
{
	relay_fail(gateway, relay, ERR_BAD_FIELD,
		   "field `model`: the body says another model than `?model=` or `x-baton-model`",
		   0);
}

/* Before any of it goes on: the server reads the whole form, too. False: the relay ended. */
static bool look_at_form(struct gateway *gateway, struct relay *relay, const char *bytes,
			 size_t length)
{
	struct form_scan *form = &relay->form;
	char words[160];

	if (!form_scan_take(form, bytes, length)) {
		snprintf(words, sizeof(words), "The form cannot be read: %s.", form->problem);
		relay_fail(gateway, relay, ERR_BAD_REQUEST, words, 0);
		return false;
	}
	if (form->found && says_another(relay, form->value)) {
		refuse_another(gateway, relay);
		return false;
	}
	/* A server that is told none takes the one that it likes. */
	if (form->state == FORM_DONE && !form->found && (relay->models || !relay->aside[0])) {
		relay_fail(gateway, relay, ERR_BAD_FIELD,
			   "The form has no field `model`; say which model is meant.", 0);
		return false;
	}
	return true;
}

static void take_form_model(struct gateway *gateway, struct relay *relay)
{
	if (relay->stage != RELAY_RECEIVING || !relay->form.found)
		return;
	static_assert(FORM_MODEL_BYTES == sizeof(relay->model_name), "a form's name fits");
	memcpy(relay->model_name, relay->form.value, sizeof(relay->model_name));
	relay_resolve(gateway, relay, loop_now());
}

void gateway_body(struct gateway *gateway, uint64_t conn, const char *bytes, size_t length)
{
	struct relay *relay = relay_of(gateway, conn);

	if (!relay || !keep_bytes(gateway, relay, bytes, length))
		return;

	if (relay->route->body == API_BODY_JSON) {
		look_at_json(gateway, relay, bytes, length);
		return;
	}

	if (!look_at_form(gateway, relay, bytes, length))
		return;
	if (relay->stage == RELAY_RECEIVING) {
		take_form_model(gateway, relay);
		return;
	}

	if (relay->stage == RELAY_FORWARDED)
		relay_push_body(gateway, relay);
	if (relay->body.length >= FORM_AHEAD_BYTES) {
		relay->body_paused = true;
		http_pause_body(gateway->net, conn, true);
	}
}

/* A JSON body is complete: its fields are known. */
static void json_ended(struct gateway *gateway, struct relay *relay)
{
	if (relay->scan.state != SCAN_DONE) {
		relay_fail(gateway, relay, ERR_BAD_JSON,
			   "The body is not one complete JSON object.", 0);
		return;
	}
	if (!json_scan_model(&relay->scan, relay->model_name)) {
		relay_fail(gateway, relay, ERR_BAD_FIELD,
			   "field `model`: required; GET /v1/models lists them", 0);
		return;
	}
	if (says_another(relay, relay->model_name)) {
		refuse_another(gateway, relay);
		return;
	}

	memcpy(relay->body_model, relay->model_name, sizeof(relay->body_model));
	relay->watch.choices_due = relay->scan.choices;
	if (relay->scan.stream_seen)
		relay->streams = relay->scan.stream;
	relay_resolve(gateway, relay, loop_now());
}

void gateway_body_end(struct gateway *gateway, uint64_t conn)
{
	struct relay *relay = relay_of(gateway, conn);

	if (!relay)
		return;

	relay->body_complete = true;
	if (relay->route->body == API_BODY_JSON)
		json_ended(gateway, relay);
	else if (relay->form.state != FORM_DONE)
		relay_fail(gateway, relay, ERR_BAD_REQUEST,
			   "The form cannot be read: it has no last delimiter.", 0);
	else if (relay->stage == RELAY_FORWARDED)
		relay_push_body(gateway, relay);
}

static struct catalog_wish wish_of(const struct relay *relay)
{
	return (struct catalog_wish){
		.name = relay->model_name, .principal = relay->principal, .models = relay->models};
}

/* A model of the configuration may leave its size to its server's list. */
static bool is_known(const struct model *model)
{
	return model && (!model->server->on_gpu || model_vram_bytes(model) > 0);
}

static void refuse_unknown(struct gateway *gateway, struct relay *relay,
			   const struct model_server *server)
{
	const struct catalog_wish anywhere = wish_of(relay);
	cleanup_text struct text words = {0}, near = {0};

	if (server) {
		text_format(&words,
			    "The model server `%s`, which made the response that this goes on "
			    "from, does not serve the model `%s`.",
			    server->name, relay->model_name);
		relay_fail(gateway, relay, ERR_MODEL_NOT_FOUND, words.bytes, 0);
		return;
	}
	if (catalog_find(&gateway->catalog, &anywhere)) {
		text_format(&words, "The model `%s` is not served at %s.", relay->model_name,
			    relay->route->path);
		relay_fail(gateway, relay, ERR_MODEL_NOT_FOUND, words.bytes, 0);
		return;
	}
	if (relay->had_worker) {
		text_format(&words, "The tab that had the model `%s` was closed.",
			    relay->model_name);
		relay_fail(gateway, relay, ERR_UPSTREAM_UNREACHABLE, words.bytes, 0);
		return;
	}

	catalog_nearest(&gateway->catalog, &anywhere, &near);
	text_format(&words, "No model `%s` is served here", relay->model_name);
	if (near.length)
		text_format(&words, "; near it: %s", near.bytes);
	text_str(&words, ". GET /v1/models lists all.");
	relay_fail(gateway, relay, ERR_MODEL_NOT_FOUND, words.bytes, 0);
}

/* False: the relay ended. */
static bool find_previous(struct gateway *gateway, struct relay *relay,
			  const struct model_server **ret_server)
{
	char id[JSON_SCAN_MODEL_BYTES];
	cleanup_text struct text words = {0};
	int err;

	*ret_server = NULL;
	if (strncmp(relay->route->path, "/v1/responses", 13) != 0 ||
	    !json_scan_previous(&relay->scan, id))
		return true;
	err = stored_requests_locate(&gateway->stored_requests, id, relay->principal, ret_server,
				     &words);
	if (err != ERR_NONE)
		relay_fail(gateway, relay, err, words.bytes, 0);
	return err == ERR_NONE;
}

void relay_resolve(struct gateway *gateway, struct relay *relay, struct mono_ms now)
{
	struct catalog_wish wish = wish_of(relay);

	relay->stage = RELAY_RESOLVING;
	relay->due = relay_patience(gateway, relay);
	if (relay->streams && relay->route->wire != API_OLLAMA && !relay->begun)
		relay->alive_at = mono_after(relay->since, gateway->options.quiet_ms);
	if (!find_previous(gateway, relay, &wish.server))
		return;

	wish.route = relay->route;
	relay->model = catalog_find(&gateway->catalog, &wish);
	if (!is_known(relay->model) && catalog_refresh(&gateway->catalog, now))
		return; /* until the lists have come */

	if (relay->model)
		relay_want_model(gateway, relay, now);
	else
		refuse_unknown(gateway, relay, wish.server);
}

void gateway_writable(struct gateway *gateway, uint64_t conn)
{
	struct relay *relay = relay_of(gateway, conn);

	if (relay && relay->request)
		relay_pause(gateway, relay, false);
	stored_requests_writable(&gateway->stored_requests, conn);
}

bool gateway_gone(struct gateway *gateway, uint64_t conn)
{
	struct relay *relay = relay_of(gateway, conn);

	if (!relay)
		return stored_requests_gone(&gateway->stored_requests, conn);
	relay_abandon(gateway, relay, relay->watch.finished ? "ok" : "left");
	return true;
}
