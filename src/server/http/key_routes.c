/* key_routes: see key_routes.h. A key is told once, in the answer that made it, and never logged.
 */
#include "server/http/key_routes.h"

#include <stdio.h>
#include <string.h>

#include "server/access/operator_name.h"
#include "wire/json.h"
#include "wire/told.h"

static void add_time(struct text *out, const char *field, struct wall_ms wall)
{
	text_json_key(out, field);
	text_char(out, '"');
	encode_time(out, wall);
	text_char(out, '"');
}

static void add_key(struct text *out, const struct api_key *key)
{
	text_json_item(out);
	text_char(out, '{');
	text_json_str(out, "name", key->name);
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

static void log_act(const struct key_routes *routes, const struct request_context *context,
		    const char *word, const char *name)
{
	char principal[LIMIT_PRINCIPAL_BYTES + 1], who[96];

	access_principal(&context->verdict.who, principal);
	operator_name(&context->request->peer, principal, who, sizeof(who));
	log_event(routes->log, LOG_INFO, word, log_str("name", name), log_str("who", who));
}

static int make_key(struct key_routes *routes, const struct request_context *context,
		    const char *name, char *detail, size_t size)
{
	cleanup_text struct text body = {0};
	uint8_t random[32];
	char secret[API_KEY_BYTES];

	random_fill(&routes->reload->broker->random, random, sizeof(random));
	int rc = key_keeper_make(routes->keeper, name, random, secret, detail, size);
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

	int rc = read_name(context->request, &parsed, &name);
	if (rc)
		snprintf(detail, sizeof(detail), "%s", parsed.detail);
	else
		rc = make_key(routes, context, name, detail, sizeof(detail));
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
