/* Goal: what the predecessor's tabs say is taken as its bridge took it, and its parts go on as the
 * bytes that came. Method: a table of messages, one of texts and their parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "wire/bridge_decode.h"

static struct json_span span_of(const char *text)
{
	return (struct json_span){text, strlen(text)};
}

static void test_spans(void **state)
{
	static const struct {
		const char *text, *part; /* NULL: none */
	} rows[] = {
		{"{\"a\":1}", "1"},
		{" { \"b\" : [1,{\"a\":2}] , \"a\" : \"x\\\"}\" } ", "\"x\\\"}\""},
		{"{\"b\":\"\\\\\",\"a\":{\"a\":[]}}", "{\"a\":[]}"},
		{"{\"a\":null,\"b\":2}", "null"},
		{"{\"a\":-1.5e3\n}", "-1.5e3"},
		{"{\"b\":{\"a\":1}}", NULL},
		{"{\"\\u0061\":1}", NULL},
		{"{\"ab\":1,\"\":2}", NULL},
		{"{}", NULL},
		{"[1]", NULL},
		{"", NULL},
		{"{\"a\"", NULL},
		{"{\"a\":", NULL},
		{"{\"a\\", NULL},
		{"{\"a\":[[", "[["},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json_span part = json_span_member(span_of(rows[i].text), "a");
		assert_true((part.from != NULL) == (rows[i].part != NULL));
		if (!part.from)
			continue;
		assert_int_equal(part.length, strlen(rows[i].part));
		assert_memory_equal(part.from, rows[i].part, part.length);
	}
	assert_int_equal(json_span_first(span_of("[ {\"a\":[2]} ,3]")).length, 9);
	assert_null(json_span_first(span_of("[]")).from);
	assert_null(json_span_first(span_of("{}")).from);
	assert_null(json_span_first((struct json_span){NULL, 0}).from);
}

static void test_messages(void **state)
{
	static const struct {
		const char *text;
		enum bridge_said said;
		uint64_t request;
		const char *words;
	} rows[] = {
		{"{\"id\":\"7\",\"chunk\":{\"choices\":[]}}", BRIDGE_CHUNK, 7, NULL},
		{"{\"id\":\"7\",\"result\":{}}", BRIDGE_RESULT, 7, NULL},
		{"{\"id\":\"7\",\"done\":true}", BRIDGE_DONE, 7, NULL},
		{"{\"id\":\"7\",\"done\":true,\"chunk\":{}}", BRIDGE_DONE, 7, NULL},
		{"{\"id\":\"7\",\"error\":\"oh\",\"done\":true}", BRIDGE_ERROR, 7, "oh"},
		{"{\"id\":\"7\",\"error\":{}}", BRIDGE_ERROR, 7, "it gave an error without words"},
		{"{\"id\":\"7\",\"error\":\"\",\"done\":false}", BRIDGE_NOTHING, 7, NULL},
		{"{\"id\":\"7\",\"error\":null,\"chunk\":{}}", BRIDGE_CHUNK, 7, NULL},
		{"{\"id\":\"7\",\"chunk\":[]}", BRIDGE_NOTHING, 7, NULL},
		{"{\"id\":7,\"done\":true}", BRIDGE_DONE, 0, NULL},
		{"{\"id\":\"07\",\"done\":true}", BRIDGE_DONE, 0, NULL},
		{"{\"id\":\"\",\"done\":true}", BRIDGE_DONE, 0, NULL},
		{"{\"id\":\"1e3\",\"done\":true}", BRIDGE_DONE, 0, NULL},
		{"{\"id\":\"18446744073709551623\",\"done\":true}", BRIDGE_DONE, 0, NULL},
		{"{\"type\":\"engine_ready\"}", BRIDGE_NOTHING, 0, NULL},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bridge_message message;
		assert_int_equal(bridge_decode(rows[i].text, strlen(rows[i].text), &message), 0);
		assert_int_equal(message.said, rows[i].said);
		assert_int_equal(message.request, rows[i].request);
		assert_int_equal(message.words == NULL, rows[i].words == NULL);
		if (rows[i].words)
			assert_string_equal(message.words, rows[i].words);
		bridge_message_finish(&message);
	}

	struct bridge_message none;
	assert_int_equal(bridge_decode("[]", 2, &none), -ERR_BAD_JSON);
	bridge_message_finish(&none);
}

static void test_hello(void **state)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{"{\"token\":\"t\",\"model\":\"Qwen\"}", 0},
		{"{\"token\":\"t\"}", 0},
		{"{\"model\":\"Qwen\"}", -ERR_BAD_FIELD},
		{"{\"token\":1}", -ERR_BAD_FIELD},
		{"{\"token\":\"t\",\"model\":\"\"}", -ERR_BAD_FIELD},
		{"{", -ERR_BAD_JSON},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bridge_hello hello;
		assert_int_equal(bridge_decode_hello(rows[i].text, strlen(rows[i].text), &hello),
				 rows[i].err);
		if (rows[i].err == 0)
			assert_string_equal(hello.token, "t");
		bridge_hello_finish(&hello);
	}
}

static void test_what_it_hears(void **state)
{
	cleanup_text struct text out = {0};
	(void)state;

	bridge_encode_request(&out, 12, "chat", span_of("{\"n\":1,\"model\": \"x\" }"), NULL);
	assert_string_equal(out.bytes, "{\"id\":\"12\",\"type\":\"chat\",\"data\":"
				       "{\"n\":1,\"model\": null }}");
	text_clear(&out);
	bridge_encode_request(&out, 12, "embedding", span_of("{\"model\":\"x\"}"), "a\"b");
	assert_string_equal(out.bytes, "{\"id\":\"12\",\"type\":\"embedding\",\"data\":"
				       "{\"model\":\"a\\\"b\"}}");
	text_clear(&out);
	bridge_encode_request(&out, 12, "chat", span_of("{}"), NULL);
	assert_string_equal(out.bytes, "{\"id\":\"12\",\"type\":\"chat\",\"data\":{}}");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_what_it_hears),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
