/* Goal: a row of history tells the wait and the hold apart, also of a claim that came back to the
 * queue or was never granted. Method: records as the core leaves them, rendered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/record.h"
#include "wire/history_encode.h"
#include "wire/json_fields.h"
#include "wire/sight.h"

static struct record ended(void)
{
	struct record record = {.type = RECORD_CLAIM_END};
	record.claim = (struct claim_record){.id = 7,
					     .fence = 1001,
					     .end = END_RELEASED,
					     .cls = LEASE_CHAT,
					     .binding = BIND_HTTP,
					     .granted_mask = 1,
					     .arrival = {1000},
					     .held_since = {9000},
					     .arrival_wall = {1766446981000},
					     .held_wall = {1766446989000},
					     .ended_wall = {1766447001000}};
	snprintf(record.claim.name, sizeof(record.claim.name), "tab");
	return record;
}

static void is_json(const struct text *out)
{
	struct parsed parsed;
	assert_int_equal(json_parse(out->bytes, out->length, out->length, &parsed), 0);
	parsed_finish(&parsed);
}

static void test_held(void **state)
{
	(void)state;
	struct record record = ended();
	struct text out;
	text_init(&out);
	history_encode_row(&out, 12, &record, NULL);
	assert_string_equal(out.bytes,
			    "{\"row\":12,\"time\":\"2025-12-22T23:43:21.000Z\",\"what\":\"claim\","
			    "\"lease\":7,\"id\":\"tab\",\"class\":\"chat\",\"binding\":\"http\","
			    "\"end\":\"released\",\"asked\":\"2025-12-22T23:43:01.000Z\","
			    "\"granted\":\"2025-12-22T23:43:09.000Z\",\"waited_s\":8,\"held_s\":12,"
			    "\"fence\":1001}");
	assert_int_equal(history_time(&record).v, 1766447001000);
	text_clear(&out);
	record.claim.used_ms = 3000; /* an earlier turn: no wait, but a hold */
	history_encode_row(&out, 12, &record, NULL);
	assert_non_null(strstr(out.bytes, "\"waited_s\":5,\"held_s\":15"));
	text_clear(&out);
	record.claim.ended_wall.v = 1; /* the clock was set back meanwhile */
	history_encode_row(&out, 12, &record, NULL);
	assert_non_null(strstr(out.bytes, "\"waited_s\":5,\"held_s\":3"));
	is_json(&out);
	text_finish(&out);
}

/* How its work ended is told to those who are told whose it was. */
static void test_detail(void **state)
{
	(void)state;
	struct record record = ended();
	const struct sight other = {"key:other", true};
	struct text out;

	text_init(&out);
	snprintf(record.detail.text, sizeof(record.detail.text), "exit status 1");
	history_encode_row(&out, 12, &record, NULL);
	assert_non_null(strstr(out.bytes, "\"end\":\"released\",\"detail\":\"exit status 1\","));
	is_json(&out);
	text_clear(&out);
	history_encode_row(&out, 12, &record, &other);
	assert_null(strstr(out.bytes, "detail"));
	text_finish(&out);
}

static void test_never_granted(void **state)
{
	(void)state;
	struct record record = ended();
	struct text out;
	record.claim.granted_mask = 0;
	record.claim.fence = 0;
	record.claim.held_wall.v = record.claim.held_since.v = 0;
	record.claim.end = END_TIMEOUT;
	snprintf(record.claim.label, sizeof(record.claim.label), "llama");
	text_init(&out);
	history_encode_row(&out, 12, &record, NULL);
	assert_non_null(strstr(out.bytes, "\"label\":\"llama\""));
	assert_non_null(strstr(out.bytes, "\"end\":\"timeout\""));
	assert_non_null(strstr(out.bytes, "\"waited_s\":20"));
	assert_null(strstr(out.bytes, "held_s"));
	assert_null(strstr(out.bytes, "granted"));
	is_json(&out);
	text_finish(&out);
}

static void test_act(void **state)
{
	(void)state;
	struct record record = {.type = RECORD_AUDIT};
	struct text out;
	record.admin.wall.v = 1766447001000;
	snprintf(record.admin.act, sizeof(record.admin.act), "pause");
	snprintf(record.admin.who, sizeof(record.admin.who), "uid=1000 pid=4242");
	snprintf(record.admin.reason, sizeof(record.admin.reason), "new \"driver\"");
	text_init(&out);
	history_encode_row(&out, 11, &record, NULL);
	assert_string_equal(out.bytes,
			    "{\"row\":11,\"time\":\"2025-12-22T23:43:21.000Z\",\"what\":\"act\","
			    "\"act\":\"pause\",\"who\":\"uid=1000 pid=4242\","
			    "\"reason\":\"new \\\"driver\\\"\"}");
	is_json(&out);
	text_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_detail),
		cmocka_unit_test(test_never_granted),
		cmocka_unit_test(test_act),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
