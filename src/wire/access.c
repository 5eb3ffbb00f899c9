/* access: the gate in front of every request. Judges heads only, changes nothing, and knows neither
 * bodies nor leases. The server calls it before anything else looks at a request. */
#include "wire/access.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/token.h"

static bool list_has(const char *const *list, size_t count, const char *value, bool fold_case)
{
	for (size_t i = 0; i < count; i++)
		if ((fold_case ? strcasecmp(list[i], value) : strcmp(list[i], value)) == 0)
			return true;
	return false;
}

/* Constant time for equal lengths; the length of a token is no secret. Empty equals nothing. */
static bool secret_equal(const char *secret, const char *shown, size_t shown_length)
{
	size_t length = strlen(secret);
	return length && length == shown_length && token_bytes_equal(secret, shown, length);
}

static bool method_known(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "POST") == 0 ||
	       strcmp(method, "OPTIONS") == 0;
}

bool access_origin_is_own(const struct access_policy *policy, const char *origin)
{
	static const char scheme[] = "http://";
	size_t length = sizeof(scheme) - 1;
	return strncasecmp(origin, scheme, length) == 0 &&
	       list_has(policy->hosts, policy->host_count, origin + length, true);
}

/* Over a Unix socket no other site can reach us, so the name in Host carries no danger there. */
static int check_host(const struct access_policy *policy, const struct request_facts *facts)
{
	if (facts->is_unix)
		return 0;
	if (!facts->host || !list_has(policy->hosts, policy->host_count, facts->host, true))
		return -ERR_BAD_HOST;
	return 0;
}

/* A request without Origin is no CORS request: a program, a navigation, or an <img> of another
 * site. Sec-Fetch-Site, which browsers alone send and pages cannot forge, tells these apart. */
static int check_origin(const struct access_policy *policy, const struct request_facts *facts,
			struct access_verdict *verdict)
{
	const struct route *route = verdict->match.route;
	if (route && (route->flags & ROUTE_OPEN)) {
		verdict->allow_origin = "*";
		return 0;
	}

	if (facts->origin) {
		bool listed =
			list_has(policy->origins, policy->origin_count, facts->origin, false) ||
			access_origin_is_own(policy, facts->origin);
		bool site = route &&
			    (route->id == ROUTE_SESSION || route->id == ROUTE_SESSION_ALIVE) &&
			    list_has(policy->sites, policy->site_count, facts->origin, false);
		if (!listed && !site)
			return -ERR_BAD_ORIGIN;
		verdict->paired = !listed;
		verdict->allow_origin = verdict->who.origin = facts->origin;
		return 0;
	}

	const char *site = facts->sec_fetch_site;
	bool own = !site || strcasecmp(site, "none") == 0 || strcasecmp(site, "same-origin") == 0;
	return own || (route && (route->flags & ROUTE_NAVIGABLE)) ? 0 : -ERR_BAD_ORIGIN;
}

/* Before the token: a form of another site can send text/plain without a preflight, and must not
 * get further whatever else it shows (CASES.md C6). */
static int check_media_type(const struct request_facts *facts, const struct access_verdict *verdict)
{
	static const char json[] = "application/json";
	const struct route *route = verdict->match.route;
	if (!route || !(route->flags & ROUTE_JSON))
		return 0;
	const char *type = facts->content_type;
	if (!type)
		return facts->body_length ? -ERR_MEDIA_TYPE : 0;
	size_t length = sizeof(json) - 1;
	if (strncasecmp(type, json, length) != 0)
		return -ERR_MEDIA_TYPE;
	const char *rest = type + length;
	rest += strspn(rest, " \t");
	return *rest == '\0' || *rest == ';' ? 0 : -ERR_MEDIA_TYPE;
}

/* All are compared, so that time does not tell which one it was. */
static const char *key_name(const struct access_policy *policy, const char *token, size_t length)
{
	const char *found = NULL;
	for (size_t i = 0; i < policy->key_count; i++)
		if (secret_equal(policy->keys[i].secret, token, length))
			found = policy->keys[i].name;
	const char *made = policy->key_of ? policy->key_of(policy->key_ctx, token, length) : NULL;
	return found ? found : made;
}

static enum access_right bearer_rights(const struct access_policy *policy, const char *token,
				       size_t length, const char **ret_key)
{
	/* All compares always run, so that time does not tell which one failed. */
	bool admin = policy->admin_token && secret_equal(policy->admin_token, token, length);
	bool user = policy->token && secret_equal(policy->token, token, length);
	*ret_key = key_name(policy, token, length);
	if (admin || (user && policy->bearer_is_admin))
		return ACCESS_ADMIN;
	return user || *ret_key ? ACCESS_TOKEN : ACCESS_NONE;
}

/* The value of our cookie in `a=b; c=d`, or NULL. */
static const char *cookie_value(const char *cookie, const char *name, size_t *ret_length)
{
	size_t name_length = strlen(name);
	while (cookie && *cookie) {
		cookie += strspn(cookie, " \t;");
		size_t length = strcspn(cookie, ";");
		if (length > name_length && strncmp(cookie, name, name_length) == 0 &&
		    cookie[name_length] == '=') {
			*ret_length = length - name_length - 1;
			return cookie + name_length + 1;
		}
		cookie += length;
	}
	return NULL;
}

void access_mark(const char *page_key, char ret_mark[ACCESS_MARK_BYTES + 1])
{
	/* 64 bits of a hash: they tell keys apart, and nothing of 256 random bits. */
	snprintf(ret_mark, ACCESS_MARK_BYTES + 1, "%016" PRIx64,
		 hash_bytes(1, page_key, strlen(page_key)));
}

static bool is_signed_in(const struct access_policy *policy, const char *cookie)
{
	size_t length = 0;
	const char *value = NULL;
	bool live = false;
	if (cookie && policy->cookie_name)
		value = cookie_value(cookie, policy->cookie_name, &length);
	for (size_t i = 0; value && i < policy->page_key_count; i++) {
		char mark[ACCESS_MARK_BYTES + 1];
		access_mark(policy->page_keys[i], mark);
		live |= secret_equal(mark, value, length);
	}
	return live;
}

static bool key_of_page(const struct access_policy *policy, const char *token, size_t length,
			uint32_t *ret_sign_in)
{
	bool live = false;
	for (size_t i = 0; i < policy->page_key_count; i++)
		live |= secret_equal(policy->page_keys[i], token, length);
	if (live) /* 24 bits of a hash, as above */
		*ret_sign_in = (uint32_t)(hash_bytes(0, token, length) & 0xffffff);
	return live;
}

static bool peer_is_trusted(const struct access_policy *policy, bool is_unix, int64_t uid)
{
	return is_unix && uid >= 0 && (uid == policy->uid || uid == 0);
}

/* A page's key counts only in Baton's own pages. Reading needs no Origin (a browser sends none on
 * its own GETs, and Sec-Fetch-Site has been checked); whatever changes something must show it. */
static enum access_right shown_rights(const struct access_policy *policy, const char *token,
				      bool reads, struct access_who *who)
{
	size_t length = strlen(token);
	enum access_right rights = bearer_rights(policy, token, length, &who->key);
	bool own = who->origin ? access_origin_is_own(policy, who->origin) : reads;
	uint32_t sign_in = 0;
	if (!key_of_page(policy, token, length, &sign_in) || !own)
		return rights;
	who->sign_in = sign_in;
	return ACCESS_ADMIN;
}

enum access_right access_token_rights(const struct access_policy *policy, const char *token,
				      struct access_who *who)
{
	if (token)
		return shown_rights(policy, token, false, who);
	return peer_is_trusted(policy, who->is_unix, who->uid) ? ACCESS_ADMIN : ACCESS_NONE;
}

/* What is shown must be right: a wrong token is refused even where the socket would do, so that a
 * client learns of it; and so are two different ones, of which nobody knows which is meant. */
static void find_rights(const struct access_policy *policy, const struct request_facts *facts,
			struct access_verdict *verdict)
{
	static const char scheme[] = "Bearer ";
	bool reads = strcmp(facts->method, "GET") == 0;
	const char *token = facts->authorization, *key = facts->api_key;

	if (!token && !key) {
		verdict->rights = access_token_rights(policy, NULL, &verdict->who);
		return;
	}

	if (!token) {
		verdict->rights = shown_rights(policy, key, reads, &verdict->who);
	} else if (strncasecmp(token, scheme, sizeof(scheme) - 1) == 0) {
		token += sizeof(scheme) - 1;
		token += strspn(token, " ");
		if (!key || !key[0] || secret_equal(token, key, strlen(key)))
			verdict->rights = shown_rights(policy, token, reads, &verdict->who);
	}
	verdict->bad_token = verdict->rights == ACCESS_NONE;
}

/* For a path that is unknown a token is asked for as well: strangers cannot map the routes. */
static int check_rights(const struct access_verdict *verdict)
{
	const struct route *route = verdict->match.route;
	enum access_right needed = route ? route->rights : ACCESS_TOKEN;
	if (verdict->rights >= needed)
		return 0;
	return verdict->rights == ACCESS_NONE ? -ERR_UNAUTHORIZED : -ERR_FORBIDDEN;
}

/* Browser builds of the inference APIs' clients send a dozen headers of their own, and new ones
 * with each version: an allowed origin may send what it asks for. */
static const char *headers_to_allow(const struct request_facts *facts)
{
	bool inference =
		strncmp(facts->path, "/v1/gpu/", 8) != 0 &&
		(strncmp(facts->path, "/v1/", 4) == 0 || strncmp(facts->path, "/api/", 5) == 0);

	return inference && facts->asked_headers ? facts->asked_headers
						 : "Authorization, Content-Type, Last-Event-ID";
}

static int judge_request(const struct access_policy *policy, const struct request_facts *facts,
			 struct access_verdict *verdict)
{
	if (facts->body_length > LIMIT_BODY_BYTES)
		return -ERR_TOO_LARGE;
	bool html = route_wants_html(facts->method, facts->accept);
	int found = route_find(facts->method, facts->path, html, &verdict->match);
	if (found == -ERR_METHOD || (found != 0 && !method_known(facts->method)))
		return -ERR_METHOD;

	int err = check_host(policy, facts);
	if (err < 0)
		return err;

	err = check_origin(policy, facts, verdict);
	if (err < 0)
		return err;

	if (strcmp(facts->method, "OPTIONS") == 0) {
		verdict->preflight = true;
		verdict->allow_headers = headers_to_allow(facts);
		return 0;
	}

	err = check_media_type(facts, verdict);
	if (err < 0)
		return err;

	verdict->signed_in = is_signed_in(policy, facts->cookie);
	find_rights(policy, facts, verdict);
	err = check_rights(verdict);
	if (err < 0)
		return err;

	return found;
}

int access_check(const struct access_policy *policy, const struct request_facts *facts,
		 struct access_verdict *ret_verdict)
{
	struct request_facts judged = *facts;
	*ret_verdict =
		(struct access_verdict){.browser = facts->origin != NULL,
					.who = {.is_unix = facts->is_unix, .uid = facts->uid}};
	if (strcmp(facts->method, "HEAD") == 0)
		judged.method = "GET"; /* the same answer, without its body */
	int err = judge_request(policy, &judged, ret_verdict);
	ret_verdict->err = -err;
	return err;
}

/* Hosts and schemes are compared without case, so they are one principal in any. */
static void lower_text(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

void access_principal(const struct access_who *who, char ret_name[LIMIT_PRINCIPAL_BYTES + 1])
{
	enum { SIZE = LIMIT_PRINCIPAL_BYTES + 1, TAG_BYTES = 7 };

	if (who->key) {
		snprintf(ret_name, SIZE, "key:%s", who->key);
	} else if (who->is_unix && who->uid >= 0) {
		snprintf(ret_name, SIZE, "uid:%" PRId64, who->uid);
	} else if (!who->origin) {
		snprintf(ret_name, SIZE, "token");
	} else {
		snprintf(ret_name, who->sign_in ? SIZE - TAG_BYTES : SIZE, "origin:%s",
			 who->origin);
		lower_text(ret_name);
		if (who->sign_in)
			snprintf(ret_name + strlen(ret_name), TAG_BYTES + 1, "+%06" PRIx32,
				 who->sign_in & 0xffffff);
	}
}

size_t access_headers(const struct access_verdict *verdict,
		      struct access_header ret_headers[ACCESS_HEADERS_MAX])
{
	size_t count = 0;

	if (verdict->browser)
		ret_headers[count++] = (struct access_header){"Vary", "Origin"};
	if (!verdict->allow_origin)
		return count;

	ret_headers[count++] =
		(struct access_header){"Access-Control-Allow-Origin", verdict->allow_origin};
	if (!verdict->preflight) {
		ret_headers[count++] =
			(struct access_header){"Access-Control-Expose-Headers", "Retry-After"};
		return count;
	}

	ret_headers[count++] = (struct access_header){"Access-Control-Allow-Methods", "GET, POST"};
	ret_headers[count++] =
		(struct access_header){"Access-Control-Allow-Headers", verdict->allow_headers};
	ret_headers[count++] = (struct access_header){"Access-Control-Max-Age", "600"};
	return count;
}

int access_throttle(struct access_throttle *throttle, struct mono_ms now)
{
	/* A leaky bucket as one time: each failure fills it by a second, and it is full while that
	 * time is 20 s or more away. */
	enum { COST_MS = 1000, BURST_MS = 20 * 1000 };
	struct mono_ms level = mono_max(throttle->full_at, now);
	if (mono_since(level, now) > BURST_MS - COST_MS)
		return ERR_RATE_LIMITED;
	throttle->full_at = mono_after(level, COST_MS);
	return ERR_UNAUTHORIZED;
}
