/* Goal: the two fields are found wherever they stand and however the body is cut, offsets name the
 * very bytes, and what two readers could read differently is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/json_scan.h"

struct json_case {
	const char *body, *model; /* model NULL: none */
	int stream;               /* -1: not said */
	bool broken;
};

static const struct json_case cases[] = {
	{"{\"model\":\"m\",\"stream\":true}", "m", 1, false},
	{" {\n\"messages\":[{\"role\":\"user\",\"content\":\"\\\"model\\\":\\\"x\\\"}]\"}], "
	 "\"stream\" : false , \"model\" : \"org/m:7b\" }\r\n",
	 "org/m:7b", 0, false},
	{"{\"a\":{\"model\":\"inner\",\"stream\":true},\"model\":\"outer\"}", "outer", -1, false},
	{"{\"a\":[[],{},\"]\",[{\"b\":\"{\"}]],\"model\":\"m\"}", "m", -1, false},
	{"{\"stream\":null,\"model\":\"\\u5317\\n\"}", "\xe5\x8c\x97\n", 0, false},
	{"{\"model_name\":\"x\",\"models\":\"y\",\"n\":-1.5e3}", NULL, -1, false},
	{"{\"a key that is much longer than any of ours\":1,\"model\":\"m\"}", "m", -1, false},
	{"{}", NULL, -1, false},
	{"{\"model\":\"\"}", NULL, -1, false},
	{"{\"model\":\"\\ud800\"}", NULL, -1, false},
	{"{\"model\":\"a\",\"model\":\"b\"}", NULL, -1, true},
	{"{\"stream\":true,\"stream\":false}", NULL, 1, true},
	{"{\"mod\\u0065l\":\"b\"}", NULL, -1, true},
	{"{\"model\":7}", NULL, -1, true},
	{"[{\"model\":\"a\"}]", NULL, -1, true},
	{"{\"model\":\"a\"} x", "a", -1, true},
	{"{\"model\" \"a\"}", NULL, -1, true},
	{"", NULL, -1, false},
};

static void check_case(const struct json_case *one, size_t piece)
{
	struct json_scan scan = {0};
	char name[JSON_SCAN_MODEL_BYTES];
	size_t length = strlen(one->body);
	bool good = true, found;

	for (size_t at = 0; at < length && good; at += piece)
		good = json_scan_take(&scan, one->body + at,
				      at + piece > length ? length - at : piece);

	assert_int_equal(good, !one->broken);
	if (one->broken) {
		assert_non_null(scan.problem);
		return;
	}

	found = json_scan_model(&scan, name);
	assert_int_equal(found, one->model != NULL);
	assert_int_equal(scan.stream_seen ? scan.stream : -1, one->stream);
	assert_int_equal(scan.state == SCAN_DONE, length > 0);
	if (!found)
		return;
	assert_string_equal(name, one->model);
	assert_int_equal(one->body[scan.model_from], '"');
	assert_int_equal(one->body[scan.model_to - 1], '"');
	assert_memory_equal(one->body + scan.model_from, scan.model.bytes, scan.model.length);
}

static void test_cases(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t piece = 1; piece <= strlen(cases[i].body) + 1; piece++)
			check_case(&cases[i], piece);
}

static bool scan_whole(struct json_scan *scan, const char *body)
{
	*scan = (struct json_scan){0};
	return json_scan_take(scan, body, strlen(body));
}

static void test_previous(void **state)
{
	static const char *const none[] = {"{}",
					   "{\"previous_response_id\":null}",
					   "{\"previous_response_id\":\"\"}",
					   "{\"a\":{\"previous_response_id\":\"r\"}}",
					   "{\"previous_response_id\":[\"r\"]}",
					   "{\"previous_response_ids\":\"r\"}"};
	static const char *const broken[] = {
		"{\"previous_response_id\":\"r\",\"previous_response_id\":\"r\"}",
		"{\"previous_response_id\":null,\"previous_response_id\":\"r\"}",
		"{\"Previous_Response_Id\":\"r\"}"};
	struct json_scan scan;
	char id[JSON_SCAN_MODEL_BYTES], body[600];
	(void)state;

	assert_true(scan_whole(&scan, "{\"previous_response_id\":\"r\\u005f1\",\"model\":\"m\"}"));
	assert_true(json_scan_previous(&scan, id));
	assert_string_equal(id, "r_1");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_true(scan_whole(&scan, none[i]));
		assert_false(json_scan_previous(&scan, id));
	}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_false(scan_whole(&scan, broken[i]));

	(void)snprintf(body, sizeof(body), "{\"previous_response_id\":\"%0512d\"}", 0);
	assert_false(scan_whole(&scan, body));
}

static void test_long_model(void **state)
{
	char body[2048], name[JSON_SCAN_MODEL_BYTES];
	struct json_scan scan = {0};
	(void)state;

	snprintf(body, sizeof(body), "{\"model\":\"%0511d\"}", 1);
	assert_true(json_scan_take(&scan, body, strlen(body)));
	assert_true(json_scan_model(&scan, name));
	assert_int_equal(strlen(name), 511);

	scan = (struct json_scan){0};
	snprintf(body, sizeof(body), "{\"model\":\"%0512d\"}", 1);
	assert_false(json_scan_take(&scan, body, strlen(body)));
	assert_string_equal(scan.problem, "field `model`: longer than 511 bytes");
}

static void check_choices(const char *body, unsigned choices)
{
	struct json_scan scan = {0};

	for (size_t at = 0; at < strlen(body); at++)
		assert_true(json_scan_take(&scan, body + at, 1));
	assert_int_equal(scan.choices, choices);
}

static void test_choices(void **state)
{
	(void)state;

	check_choices("{\"n\":12 }", 12);
	check_choices("{\"n\":3,\"n\":2}", 3);
	check_choices("{\"n\":\"3\",\"a\":{\"n\":3},\"nn\":3}", 0);
	check_choices("{\"n\":null}", 0);
	check_choices("{\"n\":-1.5e3}", 0);
	check_choices("{\"n\":99999999999999999999}", 99999999);
}

static void check_format(const char *body, bool base64, const char *text)
{
	struct json_scan scan = {0};
	char found[64] = "";

	for (size_t at = 0; at < strlen(body); at++)
		assert_true(json_scan_take(&scan, body + at, 1));
	assert_int_equal(scan.base64, base64);
	snprintf(found, sizeof(found), "%.*s", (int)(scan.format_to - scan.format_from),
		 body + scan.format_from);
	assert_string_equal(found, text);
}

static void test_format(void **state)
{
	struct json_scan scan = {0};
	static const char twice[] = "{\"encoding_format\":\"base64\",\"encoding_format\":";
	(void)state;

	check_format("{\"encoding_format\" : \"base64\" }", true, "\"base64\"");
	check_format("{\"a\":\"base64\",\"encoding_format\":\"float\"}", false, "\"float\"");
	check_format("{\"encoding_format\":\"base64, and more\"}", false, "\"base64, and more\"");
	check_format("{\"x\":{\"encoding_format\":\"base64\"}}", false, "");
	assert_false(json_scan_take(&scan, twice, strlen(twice)) &&
		     json_scan_take(&scan, "\"float\"", 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),     cmocka_unit_test(test_choices),
		cmocka_unit_test(test_cases),      cmocka_unit_test(test_previous),
		cmocka_unit_test(test_long_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
