/* Goal: a rule says which requests take a turn, and nothing else does; what is none is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/turn_rule.h"

static void test_problems(void **state)
{
	static const char *const good[] = {"POST /prompt", "* /", "WEBSOCKET /queue/join",
					   "GET /sdapi/v1/*", "POST /a*b*c"};
	static const char *const bad[] = {
		"",         "/prompt",    "POST",      "POST ",     "POST prompt", "post /prompt",
		"POST  /a", "CONNECT /a", "POST /a?b", "POST /a b", "POST /a#b",   "POST /\xc3\xa9",
		"POS /a",   "POSTS /a",   "POST\t/a"};
	char longest[256];
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_null(turn_rule_problem(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_non_null(turn_rule_problem(bad[i]));

	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "POST /", 6);
	longest[TURN_RULE_BYTES] = '\0';
	assert_null(turn_rule_problem(longest));
	longest[TURN_RULE_BYTES] = 'a';
	longest[TURN_RULE_BYTES + 1] = '\0';
	assert_non_null(turn_rule_problem(longest));
}

static void test_matches(void **state)
{
	static const struct {
		const char *rule, *method, *path;
		bool matches;
	} rows[] = {
		{"POST /prompt", "POST", "/prompt", true},
		{"POST /prompt", "POST", "/prompt/", false},
		{"POST /prompt", "POST", "/prompts", false},
		{"POST /prompt", "POST", "/api/prompt", false},
		{"POST /prompt", "GET", "/prompt", false},
		{"POST /prompt", "WEBSOCKET", "/prompt", false},
		{"* /prompt", "DELETE", "/prompt", true},
		{"* /prompt", "WEBSOCKET", "/prompt", true},
		{"GET /queue/join", "WEBSOCKET", "/queue/join", false},
		{"WEBSOCKET /queue/join", "GET", "/queue/join", false},
		{"WEBSOCKET /queue/join", "WEBSOCKET", "/queue/join", true},
		{"POST /sdapi/*", "POST", "/sdapi/v1/txt2img", true},
		{"POST /sdapi/*", "POST", "/sdapi/", true},
		{"POST /sdapi/*", "POST", "/sdapi", false},
		{"POST /*/run", "POST", "/a/b/run", true},
		{"POST /*/run", "POST", "/a/run/b", false},
		{"POST /a*b*c", "POST", "/a-b-b-c", true},
		{"POST /a*b*c", "POST", "/abc", true},
		{"POST /a*b*c", "POST", "/acb", false},
		{"POST /**", "POST", "/", true},
		{"POST /%2F*", "POST", "/%2Fx", true},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(turn_rule_matches(rows[i].rule, rows[i].method, rows[i].path),
				 rows[i].matches);
}

/* Not the exponential one of a glob that tries each star at each place. */
static void test_takes_no_time(void **state)
{
	char rule[TURN_RULE_BYTES + 1] = "POST /", path[8001];
	(void)state;

	for (int i = 0; i < 60; i++)
		memcpy(rule + 6 + 2 * i, "*a", 3);
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 2] = 'b';
	path[sizeof(path) - 1] = '\0';
	assert_false(turn_rule_matches(rule, "POST", path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_takes_no_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
