/* site_routes: see site_routes.h. What the page may do then is in session/requests.c. Every origin
 * here is what the browser showed, byte for byte, and so never in letters that look like others. */
#include "server/http/site_routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "json/json_writer.h"
#include "net/http.h"
#include "net/loop.h"
#include "server/access/access_setup.h"
#include "server/access/operator_name.h"
#include "server/access/site_keeper.h"
#include "server/broker.h"
#include "server/respond.h"
#include "server/run_state.h"
#include "server/session/session_list.h"
#include "wire/json_fields.h"
#include "wire/origin.h"
#include "wire/told.h"

/* ---- the page ---- */

static void answer_ask(const struct request_context *context, const struct site_ask *ask,
		       const char *status)
{
	cleanup_text struct text body = {0};
	struct text *out = &body;

	text_char(out, '{');
	text_json_str(out, "status", status);
	text_json_str(out, "origin", ask->origin);
	if (strcmp(status, "asked") == 0)
		text_json_str(out, "ask", ask->secret);
	if (ask->token[0]) {
		text_json_str(out, "token", ask->token);
		text_json_str(out, "scope", "queue");
	}

	text_json_seconds(out, "expires_in_s", mono_since(ask->until, loop_now()));
	text_char(out, '}');
	respond_json(context, 200, &body);
	explicit_bzero(out->bytes, out->length);
}

static void ask_anew(struct site_routes *routes, const struct request_context *context,
		     const char *origin)
{
	const struct site_ask *ask = NULL;
	uint8_t random[32];
	char detail[96];
	int64_t wait_ms = 0;

	random_fill(&routes->broker->random, random, sizeof(random));
	int rc = sites_ask(routes->keeper->sites, origin, random, loop_now(), &ask, &wait_ms);
	explicit_bzero(random, sizeof(random));
	if (rc == -ERR_RATE_LIMITED) {
		snprintf(detail, sizeof(detail),
			 "the operator was asked; ask again in %" PRId64 " s",
			 (wait_ms + 999) / 1000);
		respond_error(context, ERR_RATE_LIMITED, detail);
	} else if (rc) {
		snprintf(detail, sizeof(detail),
			 "an origin of more than %d bytes cannot be allowed", SITE_ORIGIN_BYTES);
		respond_error(context, ERR_BAD_ORIGIN, detail);
	} else {
		log_event(routes->log, LOG_INFO, "a site asks to queue", log_str("origin", origin),
			  log_int("ask", (int64_t)ask->id));
		answer_ask(context, ask, "asked");
	}
}

static void look_after(struct site_routes *routes, const struct request_context *context,
		       const char *origin, const char *secret)
{
	struct site_ask *ask = sites_find_ask(routes->keeper->sites, origin, secret, loop_now());
	if (!ask) {
		respond_error(context, ERR_NOT_FOUND,
			      "it was refused, or nobody answered; ask again");
		return;
	}
	answer_ask(context, ask, ask->token[0] ? "allowed" : "waiting");
	if (ask->token[0]) /* told once */
		sites_end_ask(ask);
}

void route_pair(struct site_routes *routes, const struct request_context *context)
{
	const struct http_request *request = context->request;
	const char *origin = request->origin, *secret = NULL;
	struct parsed parsed;

	if (routes->state->draining) {
		respond_error(context, ERR_DRAINING, NULL);
		return;
	}

	if (!origin || !origin_is_normal(origin) ||
	    access_origin_is_own(&routes->keeper->access->policy, origin)) {
		respond_error(context, ERR_BAD_ORIGIN, "only a page of another origin can ask");
		return;
	}

	int rc = request->body_length == 0 ? 0
					   : json_parse(request->body, request->body_length,
							LIMIT_BODY_BYTES, &parsed);
	if (rc == 0 && request->body_length)
		rc = json_name(&parsed, parsed.root, "ask", SECRET_HEX_BYTES - 1, &secret);
	if (rc)
		respond_error(context, -rc, parsed.detail);
	else if (secret)
		look_after(routes, context, origin, secret);
	else
		ask_anew(routes, context, origin);

	if (request->body_length)
		parsed_finish(&parsed);
}

/* ---- the operator ---- */

static void add_time(struct text *out, const char *key, struct wall_ms wall)
{
	text_json_key(out, key);
	text_char(out, '"');
	encode_time(out, wall);
	text_char(out, '"');
}

static void add_site(const struct site_routes *routes, struct text *out, const struct site *site)
{
	text_json_item(out);
	text_char(out, '{');
	text_json_u64(out, "site", site->id);
	text_json_str(out, "origin", site->origin);
	text_json_str(out, "scope", "queue");
	add_time(out, "allowed", site->allowed);
	if (site->used.v)
		add_time(out, "used", site->used);
	text_json_u64(out, "sessions", sessions_of_site(routes->endpoints, site->id));
	if (site->revoked)
		text_json_bool(out, "revoked", true);
	text_char(out, '}');
}

static void add_ask(struct text *out, const struct site_ask *ask, struct mono_ms now)
{
	if (!ask->id || ask->token[0] || mono_due(ask->until, now))
		return;
	text_json_item(out);
	text_char(out, '{');
	text_json_u64(out, "ask", ask->id);
	text_json_str(out, "origin", ask->origin);
	text_json_seconds(out, "since_s", mono_since(now, ask->since));
	text_char(out, '}');
}

void route_sites(struct site_routes *routes, const struct request_context *context)
{
	cleanup_text struct text body = {0};
	const struct sites *sites = routes->keeper->sites;
	struct text *out = &body;
	char detail[640];

	int rc = site_keeper_ready(routes->keeper, detail, sizeof(detail));
	if (rc) {
		respond_error(context, -rc, detail);
		return;
	}

	text_char(out, '{');
	text_json_str(out, "status", "ok");
	text_json_key(out, "sites");
	text_char(out, '[');
	for (uint32_t i = 0; i < sites->count; i++)
		add_site(routes, out, &sites->v[i]);
	text_char(out, ']');

	text_json_key(out, "asking");
	text_char(out, '[');
	for (int i = 0; i < SITE_ASKS_MAX; i++)
		add_ask(out, &sites->asks[i], loop_now());
	text_str(out, "]}");
	respond_json(context, 200, &body);
}

static int allow_site(struct site_routes *routes, uint64_t id,
		      char ret_origin[SITE_ORIGIN_BYTES + 1], char *detail, size_t size)
{
	uint8_t random[32];

	random_fill(&routes->broker->random, random, sizeof(random));
	int rc = site_keeper_allow(routes->keeper, id, random, loop_now(), routes->broker->wall,
				   ret_origin, detail, size);
	explicit_bzero(random, sizeof(random));
	return rc;
}

static int turn_away(struct site_routes *routes, uint64_t id,
		     char ret_origin[SITE_ORIGIN_BYTES + 1])
{
	const char *origin = sites_refuse(routes->keeper->sites, id, loop_now());
	if (!origin)
		return -ERR_NOT_FOUND;
	snprintf(ret_origin, SITE_ORIGIN_BYTES + 1, "%s", origin);
	return 0;
}

/* Whatever can be kept, it is over now. */
static int revoke_site(struct site_routes *routes, uint64_t id,
		       char ret_origin[SITE_ORIGIN_BYTES + 1], char *detail, size_t size)
{
	char why[512];
	int rc = site_keeper_ready(routes->keeper, detail, size);

	if (rc)
		return rc;
	if (!sites_revoke(routes->keeper->sites, id, ret_origin))
		return -ERR_NOT_FOUND;
	sessions_end_site(routes->endpoints, id);
	rc = site_keeper_save(routes->keeper, why, sizeof(why));
	if (rc)
		snprintf(detail, size,
			 "it is revoked now, but a restart would know it again: %s; mend that, "
			 "and revoke it again",
			 why);
	return rc;
}

void route_site_act(struct site_routes *routes, const struct request_context *context)
{
	cleanup_text struct text body = {0};
	const struct route_match *match = &context->verdict.match;
	char origin[SITE_ORIGIN_BYTES + 1] = "", principal[LIMIT_PRINCIPAL_BYTES + 1], who[96];
	char detail[640] = "no site has this number; see: baton sites";
	const char *word = "a site was refused";
	int rc;

	if (match->route->id == ROUTE_SITE_ALLOW) {
		word = "a site was allowed to queue";
		rc = allow_site(routes, match->lease, origin, detail, sizeof(detail));
	} else if (match->route->id == ROUTE_SITE_REFUSE) {
		rc = turn_away(routes, match->lease, origin);
	} else {
		word = "a site was revoked";
		rc = revoke_site(routes, match->lease, origin, detail, sizeof(detail));
	}

	if (rc) {
		respond_error(context, -rc, rc == -ERR_SITES_FULL ? NULL : detail);
		return;
	}

	access_principal(&context->verdict.who, principal);
	operator_name(&context->request->peer, principal, who, sizeof(who));
	log_event(routes->log, LOG_INFO, word, log_str("origin", origin), log_str("who", who));
	text_str(&body, "{\"status\":\"ok\"");
	text_json_str(&body, "origin", origin);
	text_char(&body, '}');

	respond_json(context, 200, &body);
}
