/* key_routes: see key_routes.h. A key is told once, in the answer that made it, and never logged.
 */
#include "server/http/key_routes.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "json/json_reader.h"
#include "json/json_writer.h"
#include "net/http.h"
#include "server/access/key_keeper.h"
#include "server/access/operator_name.h"
#include "server/broker.h"
#include "server/reload.h"
#include "server/respond.h"
#include "wire/json_fields.h"
#include "wire/told.h"

enum { COUNT_MAX = 1000000 };

static void add_time(struct text *out, const char *field, struct wall_ms wall)
{
	text_json_key(out, field);
	text_char(out, '"');
	encode_time(out, wall);
	text_char(out, '"');
}

static void add_classes(struct text *out, uint32_t classes)
{
	text_json_key(out, "classes");
	text_char(out, '[');
	for (int cls = 0; cls < LEASE_CLASS_COUNT; cls++) {
		if (!(classes >> cls & 1))
			continue;
		text_json_item(out);
		text_format(out, "\"%s\"", lease_class_name(cls));
	}
	text_char(out, ']');
}

/* What was not said is absent. */
static void add_limits(struct text *out, const struct api_key_limits *limits)
{
	if (limits->classes)
		add_classes(out, limits->classes);
	if (limits->queue_max)
		text_json_u64(out, "queue", limits->queue_max);
	if (limits->held_max)
		text_json_u64(out, "held", limits->held_max);
	if (limits->requests_max)
		text_json_u64(out, "requests", limits->requests_max);
	if (limits->models[0])
		text_json_str(out, "models", limits->models);
}

static void add_key(struct text *out, const struct api_key *key)
{
	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "name", key->name);
	add_limits(out, &key->limits);
	add_time(out, "made", key->made);
	if (key->used.v)
		add_time(out, "used", key->used);
	if (key->revoked)
		text_json_bool(out, "revoked", true);
	text_char(out, '}');
}

void route_keys(struct key_routes *routes, const struct request_context *context)
{
	cleanup_text struct text body = {0};
	const struct api_keys *keys = routes->keeper->keys;
	char detail[640];

	int rc = key_keeper_ready(routes->keeper, detail, sizeof(detail));
	if (rc) {
		respond_error(context, -rc, detail);
		return;
	}

	text_str(&body, "{\"status\":\"ok\"");
	text_json_key(&body, "keys");
	text_char(&body, '[');
	for (uint32_t i = 0; i < keys->count; i++)
		add_key(&body, &keys->v[i]);
	text_str(&body, "]}");
	respond_json(context, 200, &body);
}

/* The name that the body says. 0 or a negative enum err with parsed->detail. */
static int read_name(const struct http_request *request, struct parsed *parsed,
		     const char **ret_name)
{
	const char *name = NULL;
	int rc = json_parse(request->body, request->body_length, LIMIT_BODY_BYTES, parsed);

	if (!rc)
		rc = json_name(parsed, parsed->root, "name", SETTINGS_KEY_NAME_BYTES, &name);
	if (rc)
		return rc;
	if (!name)
		return json_missing(parsed, "name");
	if (!api_key_name_ok(name))
		return json_refuse(parsed, "name", "expected letters, digits, and ._@-");
	*ret_name = name;
	return 0;
}

static int read_classes(struct parsed *parsed, uint32_t *ret_classes)
{
	const struct json *list = json_get(parsed->root, "classes");
	uint32_t classes = 0;

	if (!list || json_is(list, JSON_KIND_NULL))
		return 0;
	for (size_t i = 0; i < json_count(list); i++) {
		const char *name = json_text(json_at(list, i));
		int cls = name ? lease_class_from_name(name) : -1;
		if (cls < 0)
			return json_refuse(parsed, "classes",
					   "expected voice, chat, normal or background");
		classes |= 1u << cls;
	}
	if (!classes)
		return json_refuse(parsed, "classes", "expected a list of one class or more");
	*ret_classes = classes;
	return 0;
}

static int read_models(struct parsed *parsed, char ret_models[API_KEY_MODELS_BYTES + 1])
{
	const char *models = NULL;
	int rc = json_name(parsed, parsed->root, "models", API_KEY_MODELS_BYTES, &models);

	if (rc || !models)
		return rc;
	if (!api_key_models_ok(models))
		return json_refuse(parsed, "models", "expected globs with commas between");
	if (strcmp(models, "*") != 0) /* all, as when nothing is said */
		snprintf(ret_models, API_KEY_MODELS_BYTES + 1, "%s", models);
	return 0;
}

static int read_count(struct parsed *parsed, const char *field, uint32_t *ret_count)
{
	uint64_t count = 0;
	int rc = json_u64(parsed, parsed->root, field, 1, COUNT_MAX, &count, NULL);

	if (!rc)
		*ret_count = (uint32_t)count;
	return rc;
}

static int read_new(const struct http_request *request, struct parsed *parsed,
		    const char **ret_name, struct api_key_limits *ret_limits)
{
	struct api_key_limits limits = {0};
	int rc = read_name(request, parsed, ret_name);

	if (!rc)
		rc = read_classes(parsed, &limits.classes);
	if (!rc)
		rc = read_count(parsed, "queue", &limits.queue_max);
	if (!rc)
		rc = read_count(parsed, "held", &limits.held_max);
	if (!rc)
		rc = read_count(parsed, "requests", &limits.requests_max);
	if (!rc)
		rc = read_models(parsed, limits.models);
	if (!rc)
		*ret_limits = limits;
	return rc;
}

static void log_act(const struct key_routes *routes, const struct request_context *context,
		    const char *word, const char *name)
{
	char principal[LIMIT_PRINCIPAL_BYTES + 1], who[96];

	access_principal(&context->verdict.who, principal);
	operator_name(&context->request->peer, principal, who, sizeof(who));
	log_event(routes->log, LOG_INFO, word, log_str("name", name), log_str("who", who));
}

static int make_key(struct key_routes *routes, const struct request_context *context,
		    const char *name, const struct api_key_limits *limits, char *detail,
		    size_t size)
{
	cleanup_text struct text body = {0};
	uint8_t random[32];
	char secret[API_KEY_BYTES];

	random_fill(&routes->reload->broker->random, random, sizeof(random));
	int rc = key_keeper_make(routes->keeper, name, limits, random, secret, detail, size);
	explicit_bzero(random, sizeof(random));
	if (rc)
		return rc;

	log_act(routes, context, "a key was made", name);
	text_str(&body, "{\"status\":\"ok\"");
	text_json_str(&body, "name", name);
	text_json_str(&body, "key", secret);
	text_char(&body, '}');
	respond_json(context, 200, &body);

	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(body.bytes, body.length);
	return 0;
}

void route_key_new(struct key_routes *routes, const struct request_context *context)
{
	struct parsed parsed;
	char detail[640];
	const char *name;
	struct api_key_limits limits;

	int rc = read_new(context->request, &parsed, &name, &limits);
	if (rc)
		snprintf(detail, sizeof(detail), "%s", parsed.detail);
	else
		rc = make_key(routes, context, name, &limits, detail, sizeof(detail));
	if (rc)
		respond_error(context, -rc, detail);
	parsed_finish(&parsed);
}

/* Whatever can be kept, it is over now. */
static int revoke_key(struct key_routes *routes, const struct request_context *context,
		      const char *name, char *detail, size_t size)
{
	bool ended;
	int rc = key_keeper_revoke(routes->keeper, name, &ended, detail, size);

	if (ended) {
		reload_shut_out(routes->reload, name);
		log_act(routes, context, "a key was revoked", name);
	}
	return rc;
}

void route_key_revoke(struct key_routes *routes, const struct request_context *context)
{
	cleanup_text struct text body = {0};
	struct parsed parsed;
	char detail[640];
	const char *name;

	int rc = read_name(context->request, &parsed, &name);
	if (rc)
		snprintf(detail, sizeof(detail), "%s", parsed.detail);
	else
		rc = revoke_key(routes, context, name, detail, sizeof(detail));

	if (rc) {
		respond_error(context, -rc, detail);
	} else {
		text_str(&body, "{\"status\":\"ok\"");
		text_json_str(&body, "name", name);
		text_char(&body, '}');
		respond_json(context, 200, &body);
	}
	parsed_finish(&parsed);
}
