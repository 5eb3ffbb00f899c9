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

/* Every id has exactly one row, and each row is found by its own method and path. */
static void test_table(void **state)
{
	(void)state;
	size_t count, seen[ROUTE_COUNT] = {0};
	const struct route *table = route_table(&count);
	assert_int_equal(count, ROUTE_COUNT);
	for (size_t i = 0; i < count; i++) {
		struct route_match match;
		seen[table[i].id]++;
		if (strchr(table[i].path, '{'))
			continue;
		assert_int_equal(route_find(table[i].method, table[i].path, &match), 0);
		assert_ptr_equal(match.route, &table[i]);
		assert_int_equal(match.lease, 0);
	}
	for (size_t i = 0; i < ROUTE_COUNT; i++)
		assert_int_equal(seen[i], 1);
}

/* C7: a known path with another method is 405, not 404, and names its own method. */
static void test_methods(void **state)
{
	(void)state;
	struct route_match match;
	assert_int_equal(route_find("GET", "/v1/gpu/unlock", &match), -ERR_METHOD);
	assert_string_equal(match.route->method, "POST");
	assert_int_equal(route_find("PUT", "/health", &match), -ERR_METHOD);
	assert_int_equal(route_find("post", "/v1/gpu/lock", &match), -ERR_METHOD);
	assert_int_equal(route_find("OPTIONS", "/v1/gpu/lock", &match), 0);
}

/* A lease in the path is one plain number; everything beside the table is not found (C29). */
static void test_paths(void **state)
{
	(void)state;
	struct route_match match;
	assert_int_equal(route_find("POST", "/v1/gpu/leases/42/revoke", &match), 0);
	assert_int_equal(match.route->id, ROUTE_LEASE_REVOKE);
	assert_int_equal(match.lease, 42);
	assert_int_equal(route_find("POST", "/v1/gpu/leases/9223372036854775807/yield", &match), 0);
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
		assert_int_equal(route_find("POST", unknown[i], &match), -ERR_NOT_FOUND);
		assert_null(match.route);
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_query),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
