/* Goal: a path finds its route, and nothing else does. Method: the whole table, then near misses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "wire/route.h"

/* Each row is found by its own method and path, and its number is its id. */
static void test_table(void **state)
{
	(void)state;
	size_t count;
	const struct route *table = route_table(&count);
	for (size_t i = 0; i < count; i++) {
		struct route_match match;
		assert_int_equal(table[i].id, i);
		assert_true(table[i].about[0]);
		assert_int_equal((table[i].flags & ROUTE_PATTERN) != 0,
				 strchr(table[i].path, '{') != NULL);
		if (strchr(table[i].path, '{'))
			continue;
		assert_int_equal(route_find(table[i].method, table[i].path,
					    table[i].flags & ROUTE_HTML, &match),
				 0);
		assert_ptr_equal(match.route, &table[i]);
		assert_int_equal(match.lease, 0);
	}
	assert_int_equal(count, ROUTE_COUNT);
}

/* C7: a known path with another method is 405, not 404, and names its own method. */
static void test_methods(void **state)
{
	(void)state;
	struct route_match match;
	assert_int_equal(route_find("GET", "/v1/gpu/unlock", false, &match), -ERR_METHOD);
	assert_string_equal(match.route->method, "POST");
	assert_int_equal(route_find("PUT", "/health", false, &match), -ERR_METHOD);
	assert_int_equal(route_find("post", "/v1/gpu/lock", false, &match), -ERR_METHOD);
	assert_int_equal(route_find("OPTIONS", "/v1/gpu/lock", false, &match), 0);
}

/* A lease in the path is one plain number; everything beside the table is not found (C29). */
static void test_paths(void **state)
{
	(void)state;
	struct route_match match;
	assert_int_equal(route_find("POST", "/v1/gpu/leases/42/revoke", false, &match), 0);
	assert_int_equal(match.route->id, ROUTE_LEASE_REVOKE);
	assert_int_equal(match.lease, 42);
	assert_int_equal(
		route_find("POST", "/v1/gpu/leases/9223372036854775807/yield", false, &match), 0);
	assert_int_equal(match.route->id, ROUTE_LEASE_YIELD);
	static const char *const unknown[] = {
		"",
		"//",
		"/v1",
		"/v1/gpu/lock/",
		"/v1/gpu/locks",
		"/V1/gpu/lock",
		"/../etc/passwd",
		"/v1/gpu/leases//yield",
		"/v1/gpu/leases/-1/yield",
		"/v1/gpu/leases/+1/yield",
		"/v1/gpu/leases/01/yield",
		"/v1/gpu/leases/1x/yield",
		"/v1/gpu/leases/1/",
		"/v1/gpu/leases/1/kill",
		"/v1/gpu/leases/1/yield/",
		"/v1/gpu/leases/{lease}/yield",
		"/v1/gpu/leases/99999999999999999999/yield",
	};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_int_equal(route_find("POST", unknown[i], false, &match), -ERR_NOT_FOUND);
		assert_null(match.route);
	}
}

/* What pages are made of: any path below a prefix, but not the prefix itself. */
static void test_files(void **state)
{
	(void)state;
	struct route_match match;
	static const struct {
		const char *path;
		enum route_id id;
	} known[] = {
		{"/pages/mic/mic.js", ROUTE_PAGES_FILE},
		{"/ui/frame.css", ROUTE_UI_FILE},
		{"/inference/model_host.js", ROUTE_INFERENCE_FILE},
		{"/storage/storage.js", ROUTE_STORAGE_FILE},
		{"/sdk/index.js", ROUTE_SDK_FILE},
		{"/modules/x", ROUTE_MODULES_FILE},
		{"/vendor/licenses/idb.txt", ROUTE_VENDOR_FILE},
		{"/models/..", ROUTE_MODELS_FILE},
		{"/pages/%2e%00", ROUTE_PAGES_FILE},
		{"/openapi.json", ROUTE_OPENAPI},
	};
	static const char *const unknown[] = {"/pages", "/pages/",   "/page/x",      "/xpages/x",
					      "/sdk",   "/modules/", "/Vendor/x.js", "/models/"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		assert_int_equal(route_find("GET", known[i].path, true, &match), 0);
		assert_int_equal(match.route->id, known[i].id);
		assert_int_equal(route_find("POST", known[i].path, false, &match), -ERR_METHOD);
	}
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		assert_int_equal(route_find("GET", unknown[i], true, &match), -ERR_NOT_FOUND);
}

/* One address, two answers: who takes text/html gets the page, all others the lines. */
static void test_html(void **state)
{
	(void)state;
	struct route_match match;
	assert_int_equal(route_find("GET", "/logs", true, &match), 0);
	assert_int_equal(match.route->id, ROUTE_LOGS_PAGE);
	assert_int_equal(route_find("GET", "/logs", false, &match), 0);
	assert_int_equal(match.route->id, ROUTE_LOGS);
	assert_true(route_wants_html("GET", "text/html,application/xhtml+xml,*/*;q=0.8"));
	assert_true(route_wants_html("GET", "Text/HTML"));
	assert_false(route_wants_html("GET", "*/*"));
	assert_false(route_wants_html("GET", "application/json"));
	assert_false(route_wants_html("GET", NULL));
	assert_false(route_wants_html("OPTIONS", "text/html"));
}

/* Numbers of a query, and nothing that is no number. */
static void test_query(void **state)
{
	(void)state;
	uint64_t value = 77;
	assert_true(route_query_u64("limit=5&since=12", "since", &value));
	assert_int_equal(value, 12);
	assert_true(route_query_u64("limit=5", "limit", &value));
	assert_int_equal(value, 5);
	assert_false(route_query_u64("", "limit", &value));
	assert_false(route_query_u64(NULL, "limit", &value));
	assert_false(route_query_u64("limits=5", "limit", &value));
	assert_false(route_query_u64("xlimit=5", "limit", &value));
	assert_false(route_query_u64("limit=", "limit", &value));
	assert_false(route_query_u64("limit=-5", "limit", &value));
	assert_false(route_query_u64("limit=5x", "limit", &value));
	assert_false(route_query_u64("limit=99999999999999999999", "limit", &value));
	assert_int_equal(value, 5);
}

/* Text of a query: decoded, bounded, and refused where it is broken or would end early. */
static void test_query_text(void **state)
{
	(void)state;
	char text[8];
	assert_int_equal(route_query_text("a=1&name=x%20%41+b", "name", text, sizeof(text)), 1);
	assert_string_equal(text, "x A b");
	assert_int_equal(route_query_text("name=", "name", text, sizeof(text)), 1);
	assert_string_equal(text, "");
	assert_int_equal(route_query_text("names=x", "name", text, sizeof(text)), 0);
	assert_int_equal(route_query_text(NULL, "name", text, sizeof(text)), 0);
	static const char *const bad[] = {"name=%",        "name=%4",   "name=%zz", "name=%00",
					  "name=12345678", "name=a%ff", "name=%c3"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(route_query_text(bad[i], "name", text, sizeof(text)),
				 -ERR_BAD_FIELD);
}

/* Of a path a plus is a plus, and an identifier may hold slashes. */
static void test_path_text(void **state)
{
	(void)state;
	char text[8];
	assert_true(route_path_text("a/b+%3a%25", text, sizeof(text)));
	assert_string_equal(text, "a/b+:%");
	static const char *const bad[] = {"%", "%4", "%zz", "a%00", "12345678", "%ff", "\xff"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(route_path_text(bad[i], text, sizeof(text)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),      cmocka_unit_test(test_methods),
		cmocka_unit_test(test_paths),      cmocka_unit_test(test_files),
		cmocka_unit_test(test_html),       cmocka_unit_test(test_query),
		cmocka_unit_test(test_query_text), cmocka_unit_test(test_path_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
