/* Goal: bodies of lock, unlock, renew and admin become the right event or an error that names the
 * field (CASES.md C16, C17, P6, P21, P33, P34, P36). Method: tables of bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/config.h"
#include "wire/http_decode.h"
#include "wire/json_fields.h"

static const struct class_rule rules[] = {
	{"Root-Mic*", LEASE_VOICE}, {"Root-Console*", LEASE_CHAT}, {"Dreamer*", LEASE_BACKGROUND}};

static struct core_config config = {
	.timeout_ms = 120 * 1000,
	.http_ttl_ms_max = 3600 * 1000,
	.gpu_count = 2,
	.gpus = {{.name = "gpu0", .uuid = "GPU-aaaa"}, {.name = "big"}},
};

static const struct wire_context ctx = {.config = &config, .rules = rules, .rule_count = 3};

/* What every test of a good lock body begins with. */
static struct event lock(const char *body, struct parsed *parsed)
{
	struct event event;
	int err = http_decode_lock(body, strlen(body), &ctx, BIND_HTTP, parsed, &event);
	if (err)
		print_error("%s: %s\n", body, parsed->detail);
	assert_int_equal(err, 0);
	assert_int_equal(event.type, EVENT_ACQUIRE);
	return event;
}

/* A body with nothing but an id gets all defaults. */
static void test_defaults(void **state)
{
	(void)state;
	struct parsed parsed;
	struct event event = lock("{\"id\":\"x\"}", &parsed);
	assert_string_equal(event.acquire.name, "x");
	assert_int_equal(event.acquire.binding, BIND_HTTP);
	assert_int_equal(event.acquire.cls, LEASE_NORMAL);
	assert_int_equal(event.acquire.timeout_ms, 120 * 1000);
	assert_int_equal(event.acquire.ttl_ms, 0);
	assert_int_equal(event.acquire.need.slots, 1);
	assert_int_equal(event.acquire.need.gpu_count, 1);
	assert_int_equal(event.acquire.need.gpu_mask, 0);
	assert_int_equal(event.acquire.need.vram_bytes, 0);
	assert_false(event.acquire.no_wait);
	assert_false(event.acquire.preemptible);
	assert_null(event.acquire.request_id);
	assert_null(event.acquire.label);
	parsed_finish(&parsed);
}

static const struct class_rights rights[] = {
	{"key:alice", 1 << LEASE_NORMAL | 1 << LEASE_BACKGROUND, 20, 4, 0, NULL},
	{"key:*", 1 << LEASE_VOICE | 1 << LEASE_BACKGROUND, 0, 0, 0, NULL},
	{"uid:7", 1 << LEASE_VOICE, 0, 0, 0, NULL},
};

/* A class that is not the principal's: named, it is refused; from a rule or the default, it is
 * lowered, or raised where nothing lower is allowed. */
static void test_class_rights(void **state)
{
	(void)state;
	static const struct {
		const char *principal, *body;
		int err;
		enum lease_class cls;
	} rows[] = {
		{"token", "{\"id\":\"x\",\"class\":\"voice\"}", 0, LEASE_VOICE},
		{"key:alice", "{\"id\":\"x\"}", 0, LEASE_NORMAL},
		{"key:alice", "{\"id\":\"Root-Mic-1\"}", 0, LEASE_NORMAL},
		{"key:alice", "{\"id\":\"x\",\"class\":\"background\"}", 0, LEASE_BACKGROUND},
		{"key:alice", "{\"id\":\"x\",\"class\":\"voice\"}", -ERR_CLASS, 0},
		{"key:alice", "{\"id\":\"x\",\"priority\":10}", -ERR_CLASS, 0},
		{"key:bob", "{\"id\":\"Root-Console\"}", 0, LEASE_BACKGROUND},
		{"uid:7", "{\"id\":\"x\"}", 0, LEASE_VOICE},
		{"uid:77", "{\"id\":\"x\"}", 0, LEASE_NORMAL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wire_context with = ctx;
		struct parsed parsed;
		struct event event;
		with.rights = rights;
		with.right_count = 3;
		with.principal = rows[i].principal;
		assert_int_equal(http_decode_lock(rows[i].body, strlen(rows[i].body), &with,
						  BIND_HTTP, &parsed, &event),
				 rows[i].err);
		if (rows[i].err) {
			assert_string_equal(parsed.detail,
					    "key:alice may ask for normal background");
		} else {
			bool alice = strcmp(rows[i].principal, "key:alice") == 0;
			assert_int_equal(event.acquire.cls, rows[i].cls);
			assert_int_equal(event.acquire.waiting_max, alice ? 20 : 0);
			assert_int_equal(event.acquire.held_max, alice ? 4 : 0);
		}
		parsed_finish(&parsed);
	}
}

/* Who can hear a yield may be asked for one unless it says no; a plain request only if it says yes.
 */
static void test_preemptible_by_default(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		enum binding binding;
		bool preemptible;
	} rows[] = {
		{"{\"id\":\"x\"}", BIND_HTTP, false},
		{"{\"id\":\"x\",\"preemptible\":true}", BIND_HTTP, true},
		{"{\"id\":\"x\"}", BIND_STREAM, true},
		{"{\"id\":\"x\"}", BIND_TAB, true},
		{"{\"id\":\"x\",\"preemptible\":false}", BIND_STREAM, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct parsed parsed;
		struct event event;
		assert_int_equal(http_decode_lock(rows[i].body, strlen(rows[i].body), &ctx,
						  rows[i].binding, &parsed, &event),
				 0);
		assert_int_equal(event.acquire.preemptible, rows[i].preemptible);
		parsed_finish(&parsed);
	}
}

/* Every field arrives, in the core's units. */
static void test_all_fields(void **state)
{
	(void)state;
	struct parsed parsed;
	struct event event = lock(
		"{\"id\":\"x\",\"class\":\"voice\",\"timeout_s\":0.5,\"ttl_s\":60,\"vram_mb\":6144,"
		"\"slots\":2,\"gpu\":[\"gpu0\",1],\"gpus\":2,\"request_id\":\"r-1\",\"wait\":false,"
		"\"preemptible\":true,\"evictable\":true,\"uninterruptible_ms\":1500,"
		"\"min_residence_ms\":2500,\"load_ms\":3500,\"label\":\"llama\",\"parent\":7,"
		"\"unknown\":{\"of\":\"later\"}}",
		&parsed);
	assert_int_equal(event.acquire.cls, LEASE_VOICE);
	assert_int_equal(event.acquire.timeout_ms, 500);
	assert_int_equal(event.acquire.ttl_ms, 60000);
	assert_int_equal(event.acquire.need.vram_bytes, UINT64_C(6144) << 20);
	assert_int_equal(event.acquire.need.slots, 2);
	assert_int_equal(event.acquire.need.gpu_mask, 3);
	assert_int_equal(event.acquire.need.gpu_count, 2);
	assert_string_equal(event.acquire.request_id, "r-1");
	assert_string_equal(event.acquire.label, "llama");
	assert_true(event.acquire.no_wait);
	assert_true(event.acquire.preemptible);
	assert_true(event.acquire.evictable);
	assert_int_equal(event.acquire.uninterruptible_ms, 1500);
	assert_int_equal(event.acquire.min_residence_ms, 2500);
	assert_int_equal(event.acquire.load_ms, 3500);
	assert_int_equal(event.acquire.parent, 7);
	parsed_finish(&parsed);
}

/* "all" slots are counted by the core; "any" GPU is said, and is not the same as nothing. */
static void test_words_for_numbers(void **state)
{
	(void)state;
	struct parsed parsed;
	struct event event = lock("{\"id\":\"x\",\"slots\":\"all\",\"gpu\":\"any\"}", &parsed);
	assert_true(event.acquire.need.all_slots);
	assert_int_equal(event.acquire.need.slots, 1);
	assert_int_equal(event.acquire.need.gpu_mask, UINT32_MAX);
	parsed_finish(&parsed);
	event = lock("{\"id\":\"x\",\"slots\":\"all\",\"gpus\":2}", &parsed);
	assert_true(event.acquire.need.all_slots);
	assert_int_equal(event.acquire.need.gpu_count, 2);
	parsed_finish(&parsed);
	event = lock("{\"id\":\"x\",\"slots\":4}", &parsed);
	assert_false(event.acquire.need.all_slots);
	parsed_finish(&parsed);
}

/* null is a wait without end, said outright; it is not the default. */
static void test_wait_for_ever(void **state)
{
	(void)state;
	struct parsed parsed;
	struct event event = lock("{\"id\":\"x\",\"timeout_s\":null}", &parsed);
	assert_true(event.acquire.timeout_ms < 0);
	parsed_finish(&parsed);
	event = lock("{\"id\":\"x\",\"timeout_s\":0}", &parsed);
	assert_int_equal(event.acquire.timeout_ms, 0);
	parsed_finish(&parsed);
}

/* P21: the class comes from the request or from a glob over the whole id, never a substring. */
static void test_classes(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		enum lease_class cls;
	} rows[] = {
		{"{\"id\":\"Root-Mic-1\"}", LEASE_VOICE},
		{"{\"id\":\"Root-Console-Chat\"}", LEASE_CHAT},
		{"{\"id\":\"Dreamer-chat\"}", LEASE_BACKGROUND},
		{"{\"id\":\"dynamic-batch-trainer\"}", LEASE_NORMAL},
		{"{\"id\":\"cosmic-dream\"}", LEASE_NORMAL},
		{"{\"id\":\"my Root-Mic\"}", LEASE_NORMAL},
		{"{\"id\":\"Root-Mic\",\"class\":\"background\"}", LEASE_BACKGROUND},
		{"{\"id\":\"x\",\"priority\":0}", LEASE_VOICE},
		{"{\"id\":\"x\",\"priority\":10}", LEASE_CHAT},
		{"{\"id\":\"x\",\"priority\":15}", LEASE_NORMAL},
		{"{\"id\":\"x\",\"priority\":20}", LEASE_BACKGROUND},
		{"{\"id\":\"x\",\"priority\":1000}", LEASE_BACKGROUND},
		{"{\"id\":\"x\",\"class\":\"chat\",\"priority\":20}", LEASE_CHAT},
		{"{\"id\":\"x\",\"class\":null,\"priority\":null}", LEASE_NORMAL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed parsed;
		struct event event = lock(rows[i].body, &parsed);
		assert_int_equal(event.acquire.cls, rows[i].cls);
		parsed_finish(&parsed);
	}
}

/* A GPU is found by name, uuid, index as number or text; any is all of them, and none named is no
 * choice: for a browser that is its own one. */
static void test_gpus(void **state)
{
	(void)state;
	static const struct {
		const char *gpu;
		uint32_t mask;
	} rows[] = {{"\"gpu0\"", 1}, {"\"GPU-aaaa\"", 1},     {"\"big\"", 2}, {"1", 2},
		    {"\"1\"", 2},    {"\"any\"", UINT32_MAX}, {"null", 0},    {"[\"big\"]", 2}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed parsed;
		char body[128];
		snprintf(body, sizeof(body), "{\"id\":\"x\",\"gpu\":%s}", rows[i].gpu);
		struct event event = lock(body, &parsed);
		assert_int_equal(event.acquire.need.gpu_mask, rows[i].mask);
		parsed_finish(&parsed);
	}
	assert_int_equal(gpu_index(&config, ""), -1);
	assert_int_equal(gpu_index(&config, "2"), -1);
	assert_int_equal(gpu_index(&config, "-1"), -1);
	assert_int_equal(gpu_index(&config, "gpu"), -1);
}

/* C16, P33: each wrong field gets an error that names it. */
static void test_bad_fields(void **state)
{
	(void)state;
	static const struct {
		const char *body, *detail;
		int err;
	} rows[] = {
		{"{}", "field `id`: required", 0},
		{"{\"id\":null}", "field `id`: required", 0},
		{"{\"id\":5}", "field `id`: must be text", 0},
		{"{\"id\":[]}", "field `id`: must be text", 0},
		{"{\"id\":{}}", "field `id`: must be text", 0},
		{"{\"id\":true}", "field `id`: must be text", 0},
		{"{\"id\":\"\"}", "field `id`: must not be empty", 0},
		{"{\"id\":\"a\\nb\"}", "field `id`: has a control", 0},
		{"{\"id\":\"a\\u001b[31m\"}", "field `id`: has a control", 0},
		{"{\"id\":\"a\\u202eb\"}", "field `id`: has a control", 0},
		{"{\"id\":\"a\\u200bb\"}", "field `id`: has a control", 0},
		{"{\"id\":\"x\",\"class\":\"mic\"}", "field `class`: expected \"voice\"", 0},
		{"{\"id\":\"x\",\"class\":0}", "field `class`: must be text", 0},
		{"{\"id\":\"x\",\"priority\":-1}", "field `priority`: expected a whole number", 0},
		{"{\"id\":\"x\",\"priority\":\"voice\"}", "field `priority`", 0},
		{"{\"id\":\"x\",\"timeout_s\":-1}", "field `timeout_s`: expected a number of", 0},
		{"{\"id\":\"x\",\"timeout_s\":\"60\"}", "field `timeout_s`", 0},
		{"{\"id\":\"x\",\"timeout_s\":1e300}", "field `timeout_s`", 0},
		{"{\"id\":\"x\",\"ttl_s\":3601}", "from 0 to 3600", 0},
		{"{\"id\":\"x\",\"vram_mb\":16777217}", "from 0 to 16777216", 0},
		{"{\"id\":\"x\",\"vram_mb\":0.5}", "field `vram_mb`", 0},
		{"{\"id\":\"x\",\"vram_mb\":9223372036854775807}", "field `vram_mb`", 0},
		{"{\"id\":\"x\",\"slots\":1025}", "field `slots`", 0},
		{"{\"id\":\"x\",\"slots\":\"some\"}", "field `slots`: expected a number or \"all\"",
		 0},
		{"{\"id\":\"x\",\"slots\":0}", "field `slots`: 0 slots need vram_mb", 0},
		{"{\"id\":\"x\",\"gpus\":0}", "field `gpus`", 0},
		{"{\"id\":\"x\",\"gpus\":17}", "field `gpus`", 0},
		{"{\"id\":\"x\",\"gpu\":\"gpu0\",\"gpus\":2}", "field `gpus`: more GPUs than", 0},
		{"{\"id\":\"x\",\"gpu\":[]}", "field `gpu`", 0},
		{"{\"id\":\"x\",\"gpu\":true}", "field `gpu`", 0},
		{"{\"id\":\"x\",\"gpu\":[0,\"gpu9\"]}",
		 "field `gpu`: there is no 'gpu9'; the GPUs are gpu0, big", ERR_NO_GPU},
		{"{\"id\":\"x\",\"gpu\":\"a\\nb\"}",
		 "field `gpu`: there is no such GPU; the GPUs are gpu0, big", ERR_NO_GPU},
		{"{\"id\":\"x\",\"gpu\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}", "1 to 16 GPUs", 0},
		{"[]", "one JSON object", ERR_BAD_JSON},
		{"", "empty", ERR_BAD_JSON},
		{"{\"id\":\"x\",\"gpu\":\"gpu9\"}", "field `gpu`: there is no", ERR_NO_GPU},
		{"{\"id\":\"x\",\"gpu\":2}", "field `gpu`: there is no", ERR_NO_GPU},
		{"{\"id\":\"x\",\"gpu\":-1}", "field `gpu`: there is no", ERR_NO_GPU},
		{"{\"id\":\"x\",\"request_id\":\"\"}", "field `request_id`", 0},
		{"{\"id\":\"x\",\"label\":5}", "field `label`", 0},
		{"{\"id\":\"x\",\"wait\":1}", "field `wait`: expected true or false", 0},
		{"{\"id\":\"x\",\"preemptible\":\"no\"}", "field `preemptible`", 0},
		{"{\"id\":\"x\",\"uninterruptible_ms\":3600001}", "field `uninterruptible_ms`", 0},
		{"{\"id\":\"x\",\"parent\":0}", "field `parent`", 0},
		{"{\"id\":\"x\",\"host\":0}", "field `host`", 0},
		{"{\"id\":\"x\",\"guests\":65}", "field `guests`", 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed parsed;
		struct event event;
		int err = http_decode_lock(rows[i].body, strlen(rows[i].body), &ctx, BIND_HTTP,
					   &parsed, &event);
		if (!strstr(parsed.detail, rows[i].detail))
			print_error("%s: %s\n", rows[i].body, parsed.detail);
		assert_int_equal(err, rows[i].err ? -rows[i].err : -ERR_BAD_FIELD);
		assert_non_null(strstr(parsed.detail, rows[i].detail));
		parsed_finish(&parsed);
	}
}

/* C16, P36: an id of 128 bytes is taken, of 129 refused, and never kept. */
static void test_long_id(void **state)
{
	(void)state;
	for (int length = LIMIT_ID_BYTES; length <= LIMIT_ID_BYTES + 1; length++) {
		struct parsed parsed;
		struct event event;
		char body[256], id[LIMIT_ID_BYTES + 2] = "";
		memset(id, 'x', (size_t)length);
		int size = snprintf(body, sizeof(body), "{\"id\":\"%s\"}", id);
		int err = http_decode_lock(body, (size_t)size, &ctx, BIND_HTTP, &parsed, &event);
		assert_int_equal(err, length > LIMIT_ID_BYTES ? -ERR_BAD_FIELD : 0);
		parsed_finish(&parsed);
	}
}

/* P6, P34: an unlock names a token; an id alone is passed on as such, null is no name at all. */
static void test_unlock(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		int err;
		bool token, id;
	} rows[] = {
		{"{\"token\":\"00112233445566778899aabbccddeeff\"}", 0, true, false},
		{"{\"id\":\"x\",\"token\":\"00112233445566778899aabbccddeeff\"}", 0, true, false},
		{"{\"id\":\"x\"}", 0, false, true},
		{"{\"id\":null}", -ERR_BAD_FIELD, false, false},
		{"{}", -ERR_BAD_FIELD, false, false},
		{"{\"token\":null}", -ERR_BAD_FIELD, false, false},
		{"{\"token\":\"\"}", -ERR_BAD_FIELD, false, false},
		{"{\"token\":\"0011\"}", -ERR_BAD_FIELD, false, false},
		{"{\"token\":5}", -ERR_BAD_FIELD, false, false},
		{"{\"id\":\"x\",\"token\":\"zz112233445566778899aabbccddeeff\"}", -ERR_BAD_FIELD,
		 false, false},
		{"{\"id\":\"a\\nb\"}", -ERR_BAD_FIELD, false, false},
		{"[]", -ERR_BAD_JSON, false, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parsed parsed;
		struct event event;
		int err = http_decode_unlock(rows[i].body, strlen(rows[i].body), &parsed, &event);
		assert_int_equal(err, rows[i].err);
		if (err == 0) {
			assert_int_equal(event.type, EVENT_RELEASE);
			assert_int_equal(event.release.token != NULL, rows[i].token);
			assert_int_equal(event.release.id != NULL, rows[i].id);
			assert_int_equal(event.release.lease, 0);
		}
		if (rows[i].token)
			assert_int_equal(event.release.token->b[15], 0xff);
		parsed_finish(&parsed);
	}
}

/* A page that goes says with the token that its place is to be kept. */
static void test_unlock_keeps(void **state)
{
	(void)state;
	struct parsed parsed;
	struct event event;
	static const char keeps[] =
		"{\"token\":\"00112233445566778899aabbccddeeff\",\"keep\":true}";
	static const char wrong[] = "{\"token\":\"00112233445566778899aabbccddeeff\",\"keep\":1}";
	assert_int_equal(http_decode_unlock(keeps, sizeof(keeps) - 1, &parsed, &event), 0);
	assert_true(event.release.keep);
	parsed_finish(&parsed);
	assert_int_equal(http_decode_unlock(wrong, sizeof(wrong) - 1, &parsed, &event),
			 -ERR_BAD_FIELD);
	parsed_finish(&parsed);
}

/* A session's sign of life shows the text of its welcome, and nothing else will do. */
static void test_alive(void **state)
{
	(void)state;
	struct parsed parsed;
	struct event event;
	static const char good[] = "{\"session\":\"17-00112233445566778899aabbccddeeff\"}";
	assert_int_equal(http_decode_alive(good, sizeof(good) - 1, &parsed, &event), 0);
	assert_int_equal(event.type, EVENT_ALIVE);
	assert_int_equal(parsed.token.b[1], 0x11);
	parsed_finish(&parsed);
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"session\":null}",
		"{\"session\":17}",
		"{\"session\":\"00112233445566778899aabbccddeeff\"}",
		"{\"session\":\"-00112233445566778899aabbccddeeff\"}",
		"{\"session\":\"17-0011223344556677\"}",
		"{\"session\":\"17\"}",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_not_equal(http_decode_alive(bad[i], strlen(bad[i]), &parsed, &event), 0);
		assert_string_not_equal(parsed.detail, "");
		parsed_finish(&parsed);
	}
}

/* Renew needs its token; the TTL stays below the configured limit; need_ms answers a yield. */
static void test_renew(void **state)
{
	(void)state;
	struct parsed parsed;
	struct event event;
	static const char good[] = "{\"token\":\"00112233445566778899aabbccddeeff\",\"ttl_s\":90}";
	assert_int_equal(http_decode_renew(good, sizeof(good) - 1, &ctx, &parsed, &event), 0);
	assert_int_equal(event.type, EVENT_RENEW);
	assert_int_equal(event.renew.ttl_ms, 90000);
	assert_int_equal(event.renew.token->b[1], 0x11);
	parsed_finish(&parsed);
	static const char yields[] =
		"{\"token\":\"00112233445566778899aabbccddeeff\",\"need_ms\":800,\"ttl_s\":90}";
	assert_int_equal(http_decode_renew(yields, sizeof(yields) - 1, &ctx, &parsed, &event), 0);
	assert_int_equal(event.type, EVENT_YIELDING);
	assert_int_equal(event.renew.lease, 0);
	assert_int_equal(event.renew.ttl_ms, 800);
	assert_ptr_equal(event.renew.token, &parsed.token);
	parsed_finish(&parsed);
	static const char none[] = "{\"ttl_s\":90}";
	assert_int_equal(http_decode_renew(none, sizeof(none) - 1, &ctx, &parsed, &event),
			 -ERR_BAD_FIELD);
	assert_string_equal(parsed.detail, "field `token`: required");
	parsed_finish(&parsed);
	static const char *const bad[] = {
		"[]", "{\"token\":5}",
		"{\"token\":\"00112233445566778899aabbccddeeff\",\"ttl_s\":3601}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int err = http_decode_renew(bad[i], strlen(bad[i]), &ctx, &parsed, &event);
		assert_int_equal(err, i ? -ERR_BAD_FIELD : -ERR_BAD_JSON);
		parsed_finish(&parsed);
	}
}

/* Admin acts take a reason or no body at all, and pass on who asks. */
static void test_admin(void **state)
{
	(void)state;
	struct parsed parsed;
	struct event event;
	static const char body[] = "{\"reason\":\"maintenance\"}";
	assert_int_equal(http_decode_admin("", 0, ADMIN_RESET, 0, "uid 0", &parsed, &event), 0);
	assert_int_equal(event.type, EVENT_ADMIN);
	assert_int_equal(event.admin.act, ADMIN_RESET);
	assert_string_equal(event.admin.who, "uid 0");
	assert_null(event.admin.reason);
	parsed_finish(&parsed);
	assert_int_equal(
		http_decode_admin(body, sizeof(body) - 1, ADMIN_REVOKE, 7, NULL, &parsed, &event),
		0);
	assert_int_equal(event.admin.lease, 7);
	assert_string_equal(event.admin.reason, "maintenance");
	parsed_finish(&parsed);
	assert_int_equal(http_decode_admin("{", 1, ADMIN_RESET, 0, NULL, &parsed, &event),
			 -ERR_BAD_JSON);
	parsed_finish(&parsed);
	static const char bad[] = "{\"reason\":\"a\\nb\"}";
	assert_int_equal(
		http_decode_admin(bad, sizeof(bad) - 1, ADMIN_RESET, 0, NULL, &parsed, &event),
		-ERR_BAD_FIELD);
	parsed_finish(&parsed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_class_rights),
		cmocka_unit_test(test_preemptible_by_default),
		cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_words_for_numbers),
		cmocka_unit_test(test_wait_for_ever),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_gpus),
		cmocka_unit_test(test_bad_fields),
		cmocka_unit_test(test_long_id),
		cmocka_unit_test(test_unlock),
		cmocka_unit_test(test_unlock_keeps),
		cmocka_unit_test(test_renew),
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_admin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
