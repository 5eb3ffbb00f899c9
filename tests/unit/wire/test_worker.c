/* Goal: what a worker says is read strictly and no further than its form, and what it hears is byte
 * for byte what its file in golden/ shows. Method: build or read, compare; broken messages by a
 * table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "golden.h"
#include "json/json_reader.h"
#include "wire/worker_decode.h"
#include "wire/worker_encode.h"

static void heard(struct text *out, const char *file)
{
	golden_check(file, out->bytes);
	text_clear(out);
}

static void test_what_it_hears(void **state)
{
	(void)state;
	cleanup_text struct text out = {0};

	worker_encode_welcome(&out, 3);
	heard(&out, "gateway-welcome.json");
	worker_encode_request(&out, &(struct worker_request){.request = 7,
							     .path = "/v1/chat/completions",
							     .model = "tiny-lm",
							     .client = "OpenAI/JS",
							     .content_type = "application/json",
							     .cls = LEASE_CHAT,
							     .streams = true});
	heard(&out, "gateway-request.json");
	worker_encode_body_end(&out, 7);
	heard(&out, "gateway-body-end.json");
	worker_encode_more(&out, 7, 65536);
	heard(&out, "gateway-more.json");
	worker_encode_cancel(&out, 7);
	heard(&out, "gateway-cancel.json");
	worker_encode_ping(&out);
	heard(&out, "gateway-ping.json");
}

static int decode(const char *text, struct worker_message *m)
{
	return worker_decode(text, strlen(text), m);
}

static void read_golden(const char *file, struct worker_message *m)
{
	char *text = golden_read(file);

	assert_int_equal(decode(text, m), 0);
	free(text);
}

static void test_what_it_says(void **state)
{
	(void)state;
	struct worker_message m;

	read_golden("worker-hello.json", &m);
	assert_int_equal(m.said, WORKER_HELLO);
	assert_string_equal(m.name, "Root-Console");
	assert_int_equal(m.concurrency, 2);
	assert_int_equal(m.model_count, 1);
	assert_string_equal(m.models[0].name, "tiny-lm");
	assert_true(m.models[0].loaded);
	assert_int_equal(m.models[0].vram_mb, 16);
	assert_int_equal(json_count(m.models[0].paths), 2);
	worker_message_finish(&m);

	read_golden("worker-models.json", &m);
	assert_int_equal(m.said, WORKER_MODELS);
	assert_int_equal(m.model_count, 0);
	assert_int_equal(m.concurrency, 1);
	worker_message_finish(&m);

	read_golden("worker-head.json", &m);
	assert_int_equal(m.status, 200);
	assert_string_equal(m.content_type, "text/event-stream");
	worker_message_finish(&m);

	read_golden("worker-piece.json", &m);
	assert_int_equal(m.request, 7);
	assert_int_equal(m.text_length, strlen("data: {\"choices\":[]}\n\n"));
	worker_message_finish(&m);

	read_golden("worker-took.json", &m);
	assert_int_equal(m.bytes, 65536);
	worker_message_finish(&m);

	read_golden("worker-end.json", &m);
	assert_int_equal(m.err, 0);
	assert_null(m.words);
	worker_message_finish(&m);

	read_golden("worker-end-failed.json", &m);
	assert_int_equal(m.err, ERR_OUTRANKED);
	assert_string_equal(m.words, "The lease was revoked.");
	worker_message_finish(&m);

	read_golden("worker-pong.json", &m);
	assert_int_equal(m.said, WORKER_PONG);
	worker_message_finish(&m);
}

static void test_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int err;
		const char *words;
	} rows[] = {
		{"", ERR_BAD_JSON, ""},
		{"[]", ERR_BAD_JSON, ""},
		{"{}", ERR_PROTOCOL, "type"},
		{"{\"type\":7}", ERR_PROTOCOL, "type"},
		{"{\"type\":\"hello\"}", ERR_BAD_FIELD, "`id`"},
		{"{\"type\":\"hello\",\"version\":2,\"id\":\"t\"}", ERR_VERSION, "version 1"},
		{"{\"type\":\"hello\",\"id\":\"t\"}", ERR_BAD_FIELD, "`models`"},
		{"{\"type\":\"models\",\"models\":{}}", ERR_BAD_FIELD, "`models`"},
		{"{\"type\":\"models\",\"models\":[1]}", ERR_BAD_FIELD, "objects"},
		{"{\"type\":\"models\",\"models\":[{\"paths\":[]}]}", ERR_BAD_FIELD, "`id`"},
		{"{\"type\":\"models\",\"models\":[{\"id\":\"a\"}]}", ERR_BAD_FIELD, "`paths`"},
		{"{\"type\":\"models\",\"models\":[{\"id\":\"a\\nb\",\"paths\":[]}]}",
		 ERR_BAD_FIELD, "`id`"},
		{"{\"type\":\"models\",\"models\":[{\"id\":\"a\",\"paths\":[]},"
		 "{\"id\":\"a\",\"paths\":[]}]}",
		 ERR_BAD_FIELD, "twice"},
		{"{\"type\":\"models\",\"models\":[],\"concurrency\":17}", ERR_BAD_FIELD,
		 "`concurrency`"},
		{"{\"type\":\"models\",\"models\":[],\"concurrency\":0}", ERR_BAD_FIELD,
		 "`concurrency`"},
		{"{\"type\":\"head\"}", ERR_BAD_FIELD, "`request`"},
		{"{\"type\":\"head\",\"request\":1,\"status\":101}", ERR_BAD_FIELD, "`status`"},
		{"{\"type\":\"head\",\"request\":1,\"content_type\":\"text/html\"}", ERR_BAD_FIELD,
		 "`content_type`"},
		{"{\"type\":\"piece\",\"request\":1}", ERR_BAD_FIELD, "`text`"},
		{"{\"type\":\"piece\",\"request\":0,\"text\":\"\"}", ERR_BAD_FIELD, "`request`"},
		{"{\"type\":\"piece\",\"request\":1,\"text\":\"\\ud83d\"}", ERR_BAD_JSON, ""},
		{"{\"type\":\"piece\",\"request\":1,\"text\":\"a\\u0000\"}", ERR_BAD_JSON, ""},
		{"{\"type\":\"took\",\"bytes\":0}", ERR_BAD_FIELD, "`bytes`"},
		{"{\"type\":\"end\",\"request\":1,\"code\":7}", ERR_BAD_FIELD, "`code`"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct worker_message m;
		int err = decode(rows[i].text, &m);

		if (err != -rows[i].err || !strstr(m.parsed.detail, rows[i].words))
			fail_msg("%s: %d, %s", rows[i].text, err, m.parsed.detail);
		worker_message_finish(&m);
	}
}

/* Lists are as long as they may be, and no longer. */
static void test_bounds(void **state)
{
	(void)state;
	for (int count = WORKER_MODELS_MAX; count <= WORKER_MODELS_MAX + 1; count++) {
		cleanup_text struct text out = {0};
		struct worker_message m;

		text_str(&out, "{\"type\":\"models\",\"models\":[");
		for (int i = 0; i < count; i++)
			text_format(&out, "%s{\"id\":\"m%d\",\"paths\":[]}", i ? "," : "", i);
		text_str(&out, "]}");
		assert_int_equal(decode(out.bytes, &m),
				 count > WORKER_MODELS_MAX ? -ERR_BAD_FIELD : 0);
		worker_message_finish(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_hears),
		cmocka_unit_test(test_what_it_says),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
