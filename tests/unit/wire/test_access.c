/* Goal: who gets in, for CASES.md C1, C3 to C8, C10 and P39 to P43. Method: one good request, and a
 * table of what may be wrong with it. Nothing here has state, so a refusal cannot change any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "wire/access.h"

#define TOKEN "5f2d9c0a7b1e4d38a6c4f0e1b2d3c4a55f2d9c0a7b1e4d38a6c4f0e1b2d3c4a5"
#define ADMIN "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char *const hosts[] = {"127.0.0.1:8470", "localhost:8470", "[::1]:8470"};
static const char *const origins[] = {"http://localhost:8000"};
static const char *const page_keys[] = {"cccccccccccccccccccccccccccccccc"};
#define PAGE_KEY "Bearer cccccccccccccccccccccccccccccccc"

static const struct access_policy policy = {
	.hosts = hosts,
	.host_count = 3,
	.origins = origins,
	.origin_count = 1,
	.token = TOKEN,
	.admin_token = ADMIN,
	.cookie_name = "baton-8470",
	.page_keys = page_keys,
	.page_key_count = 1,
	.uid = 1000,
};

static struct request_facts lock_request(void)
{
	return (struct request_facts){.method = "POST",
				      .path = "/v1/gpu/lock",
				      .host = "127.0.0.1:8470",
				      .authorization = "Bearer " TOKEN,
				      .content_type = "application/json",
				      .body_length = 20,
				      .uid = -1};
}

static int check(const struct request_facts *facts)
{
	struct access_verdict verdict;
	int err = access_check(&policy, facts, &verdict);
	assert_int_equal(verdict.err, -err);
	return verdict.err;
}

static enum access_right token_rights(const struct access_policy *rules, const char *token,
				      bool is_unix, int64_t uid)
{
	struct access_who who = {.is_unix = is_unix, .uid = uid};
	return access_token_rights(rules, token, &who);
}

/* A path that finds this row. */
static const char *example_path(const struct route *route)
{
	if (strstr(route->path, "{lease}"))
		return strstr(route->path, "yield") ? "/v1/gpu/leases/1/yield"
						    : "/v1/gpu/leases/1/revoke";
	if (!strcmp(route->path, "/v1/models/{path}"))
		return "/v1/models/org/m";
	if (!strcmp(route->path, "/v1/responses/{path}"))
		return "/v1/responses/resp_1";
	return strstr(route->path, "{path}") ? "/pages/x.js" : route->path;
}

/* C1, P43: Host is one of an exact set, or the request ends here (DNS rebinding). */
static void test_hosts(void **state)
{
	(void)state;
	struct request_facts facts = lock_request();
	static const char *const bad[] = {"attacker.example",
					  "attacker.example:8470",
					  "localhost.attacker.example:8470",
					  "127.0.0.1.nip.io:8470",
					  "0.0.0.0:8470",
					  "127.0.0.1:8471",
					  "127.0.0.1",
					  "localhost",
					  "127.0.0.1:84700",
					  "127.0.0.1:8470 ",
					  "",
					  "user@127.0.0.1:8470",
					  "[::1]",
					  "127.0.0.2:8470"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		facts.host = bad[i];
		assert_int_equal(check(&facts), ERR_BAD_HOST);
	}
	facts.host = NULL;
	assert_int_equal(check(&facts), ERR_BAD_HOST);
	static const char *const good[] = {"127.0.0.1:8470", "LocalHost:8470", "[::1]:8470"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		facts.host = good[i];
		assert_int_equal(check(&facts), 0);
	}
}

/* C3, C4, C8, P40, P42: a foreign Origin is refused on every route, WebSocket and public ones too,
 * whatever else is right, and gets no CORS header. */
static void test_foreign_origins(void **state)
{
	(void)state;
	static const char *const bad[] = {"https://evil.example",
					  "null",
					  "",
					  "http://localhost:8001",
					  "https://localhost:8000",
					  "http://localhost:8000.evil.example",
					  "http://localhost:8000/",
					  "http://LOCALHOST:8000",
					  "https://127.0.0.1:8470",
					  "http://127.0.0.1:8471",
					  "http://"};
	size_t count;
	const struct route *table = route_table(&count);
	for (size_t r = 0; r < count; r++) {
		struct request_facts facts = lock_request();
		if (table[r].flags & ROUTE_OPEN)
			continue;
		facts.method = table[r].method;
		facts.path = example_path(&table[r]);
		facts.accept = (table[r].flags & ROUTE_HTML) ? "text/html" : NULL;
		facts.authorization = PAGE_KEY;
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct access_verdict verdict;
			struct access_header headers[ACCESS_HEADERS_MAX];
			facts.origin = bad[i];
			assert_int_equal(access_check(&policy, &facts, &verdict), -ERR_BAD_ORIGIN);
			size_t header_count = access_headers(&verdict, headers);
			for (size_t h = 0; h < header_count; h++)
				assert_null(strstr(headers[h].name, "Access-Control"));
		}
	}
}

static const char *header(const struct access_verdict *verdict, const char *name)
{
	struct access_header headers[ACCESS_HEADERS_MAX];
	size_t count = access_headers(verdict, headers);
	assert_true(count <= ACCESS_HEADERS_MAX);
	for (size_t i = 0; i < count; i++)
		if (strcmp(headers[i].name, name) == 0)
			return headers[i].value;
	return NULL;
}

/* C10, P4: a listed page that shows a wrong token can read the 401; errors carry CORS headers. */
static void test_listed_origin_reads_errors(void **state)
{
	(void)state;
	struct request_facts facts = lock_request();
	struct access_verdict verdict;
	facts.origin = "http://localhost:8000";
	facts.sec_fetch_site = "same-site";
	assert_int_equal(access_check(&policy, &facts, &verdict), 0);
	assert_true(verdict.browser);
	assert_string_equal(header(&verdict, "Access-Control-Allow-Origin"),
			    "http://localhost:8000");
	facts.authorization = "Bearer wrong";
	assert_int_equal(access_check(&policy, &facts, &verdict), -ERR_UNAUTHORIZED);
	assert_string_equal(header(&verdict, "Access-Control-Allow-Origin"),
			    "http://localhost:8000");
	assert_string_equal(header(&verdict, "Vary"), "Origin");
	assert_string_equal(header(&verdict, "Access-Control-Expose-Headers"), "Retry-After");
	facts.origin = "http://127.0.0.1:8470";
	assert_int_equal(access_check(&policy, &facts, &verdict), -ERR_UNAUTHORIZED);
	assert_string_equal(header(&verdict, "Access-Control-Allow-Origin"),
			    "http://127.0.0.1:8470");
}

/* C5: a preflight needs no token; a listed origin gets the allow headers, another gets 403. */
static void test_preflight(void **state)
{
	(void)state;
	struct access_verdict verdict;
	struct request_facts facts = {.method = "OPTIONS",
				      .path = "/v1/gpu/lock",
				      .host = "127.0.0.1:8470",
				      .origin = "http://localhost:8000"};
	assert_int_equal(access_check(&policy, &facts, &verdict), 0);
	assert_true(verdict.preflight);
	assert_string_equal(header(&verdict, "Access-Control-Allow-Methods"), "GET, POST");
	assert_string_equal(header(&verdict, "Access-Control-Allow-Headers"),
			    "Authorization, Content-Type, Last-Event-ID");
	assert_string_equal(header(&verdict, "Access-Control-Max-Age"), "600");
	facts.origin = "https://evil.example";
	assert_int_equal(access_check(&policy, &facts, &verdict), -ERR_BAD_ORIGIN);
	assert_false(verdict.preflight);
	assert_null(header(&verdict, "Access-Control-Allow-Origin"));
	assert_null(header(&verdict, "Access-Control-Allow-Methods"));
}

/* Shown twice it is one; of two different ones nobody knows which is meant. */
static void test_two_keys(void **state)
{
	static const struct {
		const char *authorization, *api_key;
		int err;
	} rows[] = {{"Bearer " TOKEN, TOKEN, 0},
		    {NULL, TOKEN, 0},
		    {"Bearer " TOKEN, "", 0},
		    {"Bearer " TOKEN, ADMIN, ERR_UNAUTHORIZED},
		    {"Bearer " ADMIN, TOKEN, ERR_UNAUTHORIZED},
		    {"Bearer wrong", TOKEN, ERR_UNAUTHORIZED}};
	struct request_facts facts = lock_request();
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		facts.authorization = rows[i].authorization;
		facts.api_key = rows[i].api_key;
		assert_int_equal(check(&facts), rows[i].err);
	}
}

/* C6: JSON as text/plain is a form of another site; refused whether or not a token is shown. */
static void test_media_types(void **state)
{
	(void)state;
	struct request_facts facts = lock_request();
	static const struct {
		const char *type;
		int err;
	} rows[] = {{"text/plain", ERR_MEDIA_TYPE},
		    {"application/x-www-form-urlencoded", ERR_MEDIA_TYPE},
		    {"multipart/form-data; boundary=x", ERR_MEDIA_TYPE},
		    {"application/jsonx", ERR_MEDIA_TYPE},
		    {"text/plain; application/json", ERR_MEDIA_TYPE},
		    {"", ERR_MEDIA_TYPE},
		    {NULL, ERR_MEDIA_TYPE},
		    {"application/json", 0},
		    {"Application/JSON; charset=utf-8", 0},
		    {"application/json ;charset=utf-8", 0}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		facts.content_type = rows[i].type;
		facts.authorization = "Bearer " TOKEN;
		assert_int_equal(check(&facts), rows[i].err);
		facts.authorization = NULL;
		assert_int_equal(check(&facts), rows[i].err ? rows[i].err : ERR_UNAUTHORIZED);
	}
	facts = lock_request();
	facts.path = "/v1/gpu/pause";
	facts.authorization = "Bearer " ADMIN;
	facts.content_type = NULL;
	facts.body_length = 0;
	assert_int_equal(check(&facts), 0);
}

/* C7, C25: another method is 405 before anything else is looked at. */
static void test_methods(void **state)
{
	(void)state;
	struct request_facts facts = lock_request();
	static const char *const methods[] = {"GET",     "PUT",   "DELETE", "HEAD",
					      "CONNECT", "TRACE", "PRI",    ""};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		facts.method = methods[i];
		facts.path = "/v1/gpu/unlock";
		facts.authorization = i % 2 ? NULL : "Bearer " TOKEN;
		assert_int_equal(check(&facts), ERR_METHOD);
	}
	facts.method = "DELETE";
	facts.path = "/nowhere";
	assert_int_equal(check(&facts), ERR_METHOD);
	facts.path = "/v1/responses/resp_1";
	assert_int_equal(check(&facts), ERR_UNAUTHORIZED);
	facts.authorization = "Bearer " TOKEN;
	assert_int_equal(check(&facts), 0);
	facts.method = "PUT";
	assert_int_equal(check(&facts), ERR_METHOD);
	facts = (struct request_facts){
		.method = "HEAD", .path = "/health", .host = "localhost:8470"};
	assert_int_equal(check(&facts), 0);
	facts.path = "/v1/gpu/status";
	assert_int_equal(check(&facts), ERR_UNAUTHORIZED);
	facts.authorization = "Bearer " TOKEN;
	assert_int_equal(check(&facts), 0);
}

/* <img src> of another site sends no Origin; Sec-Fetch-Site gives it away. A link to the page may.
 */
static void test_fetch_site(void **state)
{
	(void)state;
	struct request_facts facts = {.method = "GET",
				      .path = "/v1/gpu/status",
				      .host = "localhost:8470",
				      .authorization = "Bearer " TOKEN};
	static const struct {
		const char *site;
		int err;
	} rows[] = {{NULL, 0},
		    {"none", 0},
		    {"same-origin", 0},
		    {"same-site", ERR_BAD_ORIGIN},
		    {"cross-site", ERR_BAD_ORIGIN},
		    {"future-word", ERR_BAD_ORIGIN}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		facts.sec_fetch_site = rows[i].site;
		facts.path = "/v1/gpu/status";
		assert_int_equal(check(&facts), rows[i].err);
		facts.path = "/health";
		assert_int_equal(check(&facts), rows[i].err);
		facts.path = "/";
		assert_int_equal(check(&facts), 0);
	}
}

/* C10, P41: no token or a wrong one is 401 on every route that needs one, /logs too. */
static void test_tokens(void **state)
{
	(void)state;
	static const char *const bad[] = {
		NULL,
		"",
		"Bearer",
		"Bearer ",
		"Bearer sovereign-secret",
		"Bearer 5f2d9c0a7b1e4d38a6c4f0e1b2d3c4a5",
		"Bearer " TOKEN "0",
		"Bearer " TOKEN " ",
		"Basic " TOKEN,
		TOKEN,
		"Bearer 5F2D9C0A7B1E4D38A6C4F0E1B2D3C4A55F2D9C0A7B1E4D38A6C4F0E1B2D3C4A5"};
	size_t count;
	const struct route *table = route_table(&count);
	for (size_t r = 0; r < count; r++) {
		struct request_facts facts = lock_request();
		facts.method = table[r].method;
		facts.path = example_path(&table[r]);
		facts.accept = (table[r].flags & ROUTE_HTML) ? "text/html" : NULL;
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct access_verdict verdict;
			facts.authorization = bad[i];
			int err = access_check(&policy, &facts, &verdict);
			bool open = table[r].rights == ACCESS_NONE;
			assert_int_equal(err, open ? 0 : -ERR_UNAUTHORIZED);
			assert_int_equal(verdict.rights, ACCESS_NONE);
			assert_int_equal(verdict.bad_token, bad[i] != NULL);
		}
	}
}

/* Which of the routes each kind of caller may use; an unknown path is 404 only with a token. */
static void test_rights(void **state)
{
	(void)state;
	struct request_facts facts = lock_request();
	facts.path = "/v1/gpu/reset";
	assert_int_equal(check(&facts), ERR_FORBIDDEN);
	facts.authorization = "bearer  " ADMIN;
	assert_int_equal(check(&facts), 0);
	facts.path = "/v1/nothing";
	assert_int_equal(check(&facts), ERR_NOT_FOUND);
	facts.authorization = NULL;
	assert_int_equal(check(&facts), ERR_UNAUTHORIZED);

	struct access_policy compat = policy;
	struct access_verdict verdict;
	compat.bearer_is_admin = true;
	facts = lock_request();
	facts.path = "/v1/gpu/force-release-all";
	assert_int_equal(access_check(&compat, &facts, &verdict), 0);
	assert_int_equal(verdict.rights, ACCESS_ADMIN);

	compat.token = NULL;
	compat.cookie_name = NULL;
	facts.cookie = "baton-8470=cccccccccccccccccccccccccccccccc";
	assert_int_equal(access_check(&compat, &facts, &verdict), -ERR_UNAUTHORIZED);
	facts.authorization = NULL;
	assert_int_equal(access_check(&compat, &facts, &verdict), -ERR_UNAUTHORIZED);
	assert_false(verdict.bad_token);
	compat.token = "";
	compat.admin_token = NULL;
	facts.authorization = "Bearer ";
	assert_int_equal(access_check(&compat, &facts, &verdict), -ERR_UNAUTHORIZED);
}

/* C40: the Unix socket trusts its own user and root, by the kernel's word, and nobody else. */
static void test_unix_peers(void **state)
{
	(void)state;
	struct request_facts facts = lock_request();
	facts.path = "/v1/gpu/reset";
	facts.host = "localhost";
	facts.authorization = NULL;
	facts.is_unix = true;
	facts.uid = 1000;
	assert_int_equal(check(&facts), 0);
	facts.uid = 0;
	assert_int_equal(check(&facts), 0);
	facts.uid = 1001;
	assert_int_equal(check(&facts), ERR_UNAUTHORIZED);
	facts.uid = -1;
	assert_int_equal(check(&facts), ERR_UNAUTHORIZED);
	facts.uid = 1000;
	facts.authorization = "Bearer wrong";
	assert_int_equal(check(&facts), ERR_UNAUTHORIZED);
	facts.authorization = NULL;
	facts.origin = "https://evil.example";
	assert_int_equal(check(&facts), ERR_BAD_ORIGIN);

	assert_int_equal(token_rights(&policy, NULL, true, 1000), ACCESS_ADMIN);
	assert_int_equal(token_rights(&policy, NULL, true, 1001), ACCESS_NONE);
	assert_int_equal(token_rights(&policy, TOKEN, true, 1001), ACCESS_TOKEN);
	assert_int_equal(token_rights(&policy, "wrong", true, 1000), ACCESS_NONE);
	assert_int_equal(token_rights(&policy, TOKEN, false, -1), ACCESS_TOKEN);
	assert_int_equal(token_rights(&policy, ADMIN, false, -1), ACCESS_ADMIN);
	assert_int_equal(token_rights(&policy, NULL, false, 1000), ACCESS_NONE);
}

static void is_principal(const struct access_policy *of, const struct request_facts *facts,
			 const char *wanted)
{
	struct access_verdict verdict;
	char name[LIMIT_PRINCIPAL_BYTES + 1];
	assert_int_equal(access_check(of, facts, &verdict), 0);
	access_principal(&verdict.who, name);
	assert_string_equal(name, wanted);
}

/* On whose behalf a request comes is what it cannot choose: a key, the socket's user, the page. */
static void test_principals(void **state)
{
	(void)state;
	static const struct access_key keys[] = {{"alice", "alice's secret text"},
						 {"bob", "bob's secret text"}};
	struct access_policy with_keys = policy;
	struct request_facts facts = lock_request();
	with_keys.keys = keys;
	with_keys.key_count = 2;
	is_principal(&with_keys, &facts, "token");
	facts.authorization = "Bearer bob's secret text";
	is_principal(&with_keys, &facts, "key:bob");
	assert_int_equal(check(&facts), ERR_UNAUTHORIZED);
	facts.path = "/v1/gpu/reset";
	struct access_verdict verdict;
	assert_int_equal(access_check(&with_keys, &facts, &verdict), -ERR_FORBIDDEN);
	facts = lock_request();
	facts.origin = "http://localhost:8000";
	is_principal(&with_keys, &facts, "origin:http://localhost:8000");
	facts.origin = "http://LocalHost:8470";
	is_principal(&with_keys, &facts, "origin:http://localhost:8470");
	facts.authorization = PAGE_KEY;
	assert_int_equal(access_check(&with_keys, &facts, &verdict), 0);
	char name[LIMIT_PRINCIPAL_BYTES + 1];
	access_principal(&verdict.who, name);
	assert_int_equal(strlen(name), strlen("origin:http://localhost:8470+123456"));
	assert_memory_equal(name, "origin:http://localhost:8470+", 29);
	facts = lock_request();
	facts.is_unix = true;
	facts.uid = 1001;
	is_principal(&with_keys, &facts, "uid:1001");
	facts.authorization = "Bearer alice's secret text";
	is_principal(&with_keys, &facts, "key:alice");
	facts.uid = -1;
	facts.authorization = "Bearer " TOKEN;
	is_principal(&with_keys, &facts, "token");
	struct access_who shown = {.uid = -1};
	access_token_rights(&with_keys, "alice's secret text", &shown);
	assert_string_equal(shown.key, "alice");
	access_token_rights(&with_keys, TOKEN, &shown);
	assert_null(shown.key);
	assert_int_equal(token_rights(&with_keys, "bob's secret text", false, -1), ACCESS_TOKEN);
	/* The longest origin is cut, and what tells sign-ins apart is not. */
	struct access_who who = {.uid = -1, .sign_in = 0xabcdef};
	who.origin = "https://a.very.long.name.of.a.host.that.goes.on.and.on.and.on.example:8443";
	access_principal(&who, name);
	assert_int_equal(strlen(name), LIMIT_PRINCIPAL_BYTES);
	assert_string_equal(name + LIMIT_PRINCIPAL_BYTES - 7, "+abcdef");
	/* What a site may be called at most is whole: two sites are never one principal. */
	who = (struct access_who){.uid = -1};
	who.origin = "https://a.very.long.name.of.a.host.that.goes.on.site.one";
	assert_int_equal(strlen(who.origin), LIMIT_PRINCIPAL_BYTES - 7);
	access_principal(&who, name);
	assert_string_equal(name + 7, who.origin);
}

/* A page's key serves Baton's own pages, for changes only with their Origin. */
static void test_page_keys(void **state)
{
	(void)state;
	static const struct {
		const char *method, *path, *origin;
		int err;
	} rows[] = {
		{"GET", "/v1/gpu/status", NULL, 0},
		{"GET", "/v1/gpu/status", "http://localhost:8470", 0},
		{"POST", "/v1/gpu/reset", "http://127.0.0.1:8470", 0},
		{"POST", "/v1/gpu/reset", NULL, ERR_UNAUTHORIZED},
		{"POST", "/v1/gpu/reset", "http://localhost:8000", ERR_UNAUTHORIZED},
		{"GET", "/v1/gpu/status", "http://localhost:8000", ERR_UNAUTHORIZED},
		{"POST", "/v1/gpu/reset", "http://127.0.0.1:8471", ERR_BAD_ORIGIN},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct request_facts facts = {.method = rows[i].method,
					      .path = rows[i].path,
					      .host = "127.0.0.1:8470",
					      .origin = rows[i].origin,
					      .authorization = PAGE_KEY,
					      .uid = -1};
		assert_int_equal(check(&facts), rows[i].err);
	}
	struct access_who own = {.uid = -1, .origin = "http://localhost:8470"}, other = {.uid = -1};
	assert_int_equal(access_token_rights(&policy, page_keys[0], &own), ACCESS_ADMIN);
	assert_int_not_equal(own.sign_in, 0);
	assert_int_equal(access_token_rights(&policy, page_keys[0], &other), ACCESS_NONE);
	assert_int_equal(other.sign_in, 0);
}

/* Every server of the host sees the cookie: it says that a key was given, and is good for nothing,
 * whatever it holds. */
static void test_cookies(void **state)
{
	(void)state;
	char mark[ACCESS_MARK_BYTES + 1], cookie[128];
	access_mark(page_keys[0], mark);
	assert_int_equal(strlen(mark), ACCESS_MARK_BYTES);
	const struct {
		const char *name, *value;
		bool signed_in;
	} rows[] = {
		{"baton-8470", mark, true},
		{"a=b; baton-8470", mark, true},
		{"baton-8471", mark, false},
		{"baton", mark, false},
		{"xbaton-8470", mark, false},
		{"baton-8470", "", false},
		{"baton-8470", "0000000000000000", false},
		{"baton-8470", page_keys[0], false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct access_verdict verdict;
		struct request_facts facts = {.method = "GET",
					      .path = "/",
					      .host = "127.0.0.1:8470",
					      .cookie = cookie,
					      .uid = -1};
		snprintf(cookie, sizeof cookie, "%s=%s; x=y", rows[i].name, rows[i].value);
		assert_int_equal(access_check(&policy, &facts, &verdict), 0);
		assert_int_equal(verdict.signed_in, rows[i].signed_in);
		assert_int_equal(verdict.rights, ACCESS_NONE);
		facts.path = "/v1/gpu/status";
		assert_int_equal(check(&facts), ERR_UNAUTHORIZED);
		facts.method = "POST";
		facts.path = "/v1/gpu/reset";
		facts.origin = "http://127.0.0.1:8470";
		assert_int_equal(check(&facts), ERR_UNAUTHORIZED);
	}
}

/* Any site may read what is open, the same for all; the Host is judged, and only the SDK and the
 * question to be let in are open. */
static void test_open_routes(void **state)
{
	(void)state;
	static const char *const sites[] = {NULL, "https://app.example", "null",
					    "http://localhost:8000"};
	for (size_t i = 0; i < sizeof(sites) / sizeof(sites[0]); i++) {
		struct access_verdict verdict;
		struct request_facts facts = {.method = "GET",
					      .path = "/sdk/index.js",
					      .host = "127.0.0.1:8470",
					      .origin = sites[i],
					      .sec_fetch_site = "cross-site",
					      .uid = -1};
		assert_int_equal(access_check(&policy, &facts, &verdict), 0);
		assert_string_equal(header(&verdict, "Access-Control-Allow-Origin"), "*");
		assert_null(verdict.who.origin);
		facts.host = "evil.example";
		assert_int_equal(check(&facts), ERR_BAD_HOST);
	}
	size_t count;
	const struct route *table = route_table(&count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal((table[i].flags & ROUTE_OPEN) != 0,
				 strcmp(table[i].path, "/sdk/{path}") == 0 ||
					 table[i].id == ROUTE_PAIR);
}

/* P36: size comes first. */
static void test_size(void **state)
{
	(void)state;
	struct request_facts facts = lock_request();
	facts.body_length = LIMIT_BODY_BYTES;
	assert_int_equal(check(&facts), 0);
	facts.body_length++;
	facts.host = "attacker.example";
	assert_int_equal(check(&facts), ERR_TOO_LARGE);
}

/* C10: wrong tokens read 401, then 429, and 401 again after a while. */
static void test_throttle(void **state)
{
	(void)state;
	struct access_throttle throttle = {0};
	struct mono_ms now = {1000 * 1000};
	for (int i = 0; i < 20; i++)
		assert_int_equal(access_throttle(&throttle, now), ERR_UNAUTHORIZED);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(access_throttle(&throttle, now), ERR_RATE_LIMITED);
	assert_int_equal(access_throttle(&throttle, mono_after(now, 999)), ERR_RATE_LIMITED);
	assert_int_equal(access_throttle(&throttle, mono_after(now, 1000)), ERR_UNAUTHORIZED);
	assert_int_equal(access_throttle(&throttle, mono_after(now, 1000)), ERR_RATE_LIMITED);
	now = mono_after(now, 3600 * 1000);
	for (int i = 0; i < 20; i++)
		assert_int_equal(access_throttle(&throttle, now), ERR_UNAUTHORIZED);
	assert_int_equal(access_throttle(&throttle, now), ERR_RATE_LIMITED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_foreign_origins),
		cmocka_unit_test(test_listed_origin_reads_errors),
		cmocka_unit_test(test_preflight),
		cmocka_unit_test(test_media_types),
		cmocka_unit_test(test_two_keys),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_fetch_site),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_unix_peers),
		cmocka_unit_test(test_principals),
		cmocka_unit_test(test_page_keys),
		cmocka_unit_test(test_cookies),
		cmocka_unit_test(test_open_routes),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_throttle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
