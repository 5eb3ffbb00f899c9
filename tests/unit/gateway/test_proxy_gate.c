/* Goal: the pages of a server can be reached by its own pages, by programs and by a link to the
 * first page; by no other site's page, under whatever name it leads here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "gateway/proxy_gate.h"

static void check_hosts(const char *address, uint16_t port, const char *want)
{
	struct proxy_hosts hosts;
	char all[512] = "";

	proxy_hosts_of(address, port, &hosts);
	for (unsigned i = 0; i < hosts.count; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s ", hosts.v[i]);
	assert_string_equal(all, want);
}

static void test_hosts(void **state)
{
	(void)state;
	check_hosts("127.0.0.1:0", 8189, "127.0.0.1:8189 localhost:8189 ");
	check_hosts("[::1]:8189", 8189, "[::1]:8189 localhost:8189 ");
	check_hosts("127.0.0.5:8189", 8189, "127.0.0.5:8189 ");
	check_hosts("127.0.0.1:80", 80, "127.0.0.1:80 127.0.0.1 localhost:80 localhost ");
}

static void test_gate(void **state)
{
	static const struct {
		struct proxy_facts facts;
		int rc;
	} rows[] = {
		{{"GET", "/", "127.0.0.1:8189", NULL, NULL, NULL, NULL}, 0},
		{{"POST", "/prompt", "LocalHost:8189", NULL, NULL, NULL, NULL}, 0},
		{{"GET", "/", "evil.example:8189", NULL, NULL, NULL, NULL}, -ERR_BAD_HOST},
		{{"GET", "/", "127.0.0.1:8188", NULL, NULL, NULL, NULL}, -ERR_BAD_HOST},
		{{"GET", "/", "127.0.0.1", NULL, NULL, NULL, NULL}, -ERR_BAD_HOST},
		{{"GET", "/", NULL, NULL, NULL, NULL, NULL}, -ERR_BAD_HOST},
		{{"POST", "/prompt", "127.0.0.1:8189", "http://127.0.0.1:8189", "same-origin",
		  "cors", "empty"},
		 0},
		{{"POST", "/prompt", "127.0.0.1:8189", "https://127.0.0.1:8189", NULL, NULL, NULL},
		 -ERR_BAD_ORIGIN},
		/* A pair that is not one: two names of the same listener. */
		{{"POST", "/prompt", "127.0.0.1:8189", "http://localhost:8189", NULL, NULL, NULL},
		 -ERR_BAD_ORIGIN},
		/* Another port is the same site to a browser. */
		{{"POST", "/prompt", "127.0.0.1:8189", "http://127.0.0.1:8470", "same-site", "cors",
		  "empty"},
		 -ERR_BAD_ORIGIN},
		{{"POST", "/prompt", "127.0.0.1:8189", "null", NULL, NULL, NULL}, -ERR_BAD_ORIGIN},
		{{"POST", "/prompt", "127.0.0.1:8189", "http://evil.example", "cross-site", "cors",
		  "empty"},
		 -ERR_BAD_ORIGIN},
		{{"GET", "/view", "127.0.0.1:8189", NULL, "same-site", "no-cors", "image"},
		 -ERR_BAD_ORIGIN},
		{{"GET", "/view", "127.0.0.1:8189", NULL, "cross-site", "navigate", "document"},
		 -ERR_BAD_ORIGIN},
		{{"GET", "/", "127.0.0.1:8189", NULL, "cross-site", "navigate", "document"}, 0},
		{{"GET", "/", "127.0.0.1:8189", NULL, "same-site", "navigate", "iframe"},
		 -ERR_BAD_ORIGIN},
		{{"POST", "/", "127.0.0.1:8189", NULL, "cross-site", "navigate", "document"},
		 -ERR_BAD_ORIGIN},
		{{"GET", "/", "127.0.0.1:8189", NULL, "none", "navigate", "document"}, 0},
		{{"GET", "/app.js", "127.0.0.1:8189", NULL, "same-origin", "no-cors", "script"}, 0},
	};
	struct proxy_hosts hosts;
	(void)state;

	proxy_hosts_of("127.0.0.1:8189", 8189, &hosts);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(proxy_gate(&hosts, &rows[i].facts), rows[i].rc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_gate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
