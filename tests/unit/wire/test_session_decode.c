/* Goal: what clients say in a session becomes the right event, and what is wrong gets an error that
 * a session survives (CASES.md C38, P31). Method: tables of messages. Golden files of the good ones
 * are in test_golden.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "core/config.h"
#include "wire/http_decode.h"
#include "wire/session_decode.h"

static struct core_config config = {.timeout_ms = 120 * 1000,
				    .http_ttl_ms_max = 3600 * 1000,
				    .gpu_count = 1,
				    .gpus = {{.name = "gpu0"}}};
static const struct wire_context ctx = {.config = &config};

static int parse(const char *text, const char *name, struct session_request *m)
{
	return session_decode(text, strlen(text), &ctx, name, m);
}

/* hello opens a session: name, token, and the session of before by its secret. */
static void test_hello(void **state)
{
	(void)state;
	struct session_request m;
	assert_int_equal(parse("{\"type\":\"hello\",\"version\":1,\"id\":\"tab\",\"token\":\"t\","
			       "\"resume\":\"17-00112233445566778899aabbccddeeff\"}",
			       NULL, &m),
			 0);
	assert_int_equal(m.kind, REQUEST_HELLO);
	assert_int_equal(m.event.type, EVENT_SESSION_OPEN);
	assert_string_equal(m.event.session.name, "tab");
	assert_string_equal(m.token, "t");
	assert_non_null(m.event.session.resume);
	assert_int_equal(m.event.session.resume->b[2], 0x22);
	session_request_finish(&m);
	assert_int_equal(parse("{\"type\":\"hello\",\"id\":\"tab\"}", NULL, &m), 0);
	assert_null(m.token);
	assert_null(m.event.session.resume);
	session_request_finish(&m);
}

/* Each wrong hello is told what is wrong with it; another version by a code of its own. */
static void test_bad_hello(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{"{\"type\":\"hello\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"hello\",\"id\":\"\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"hello\",\"id\":5}", -ERR_BAD_FIELD},
		{"{\"type\":\"hello\",\"id\":\"x\",\"version\":2}", -ERR_VERSION},
		{"{\"type\":\"hello\",\"version\":0}", -ERR_VERSION},
		{"{\"type\":\"hello\",\"id\":\"x\",\"version\":\"1\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"hello\",\"id\":\"x\",\"token\":5}", -ERR_BAD_FIELD},
		{"{\"type\":\"hello\",\"id\":\"x\",\"resume\":\"17\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"hello\",\"id\":\"x\",\"resume\":\"-"
		 "00112233445566778899aabbccddeeff\"}",
		 -ERR_BAD_FIELD},
		{"{\"type\":\"hello\",\"id\":\"x\",\"resume\":\"17-0011\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"hello\",\"id\":\"x\",\"resume\":17}", -ERR_BAD_FIELD},
		{"{\"type\":\"hello\",\"id\":\"x\",\"resume\":"
		 "\"123456789012345678901-00112233445566778899aabbccddeeff\"}",
		 -ERR_BAD_FIELD},
		{"{\"type\":\"acquire\",\"ref\":1}", -ERR_PROTOCOL},
		{"{\"type\":\"status\"}", -ERR_PROTOCOL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct session_request m;
		assert_int_equal(parse(rows[i].text, NULL, &m), rows[i].err);
		assert_true(strlen(m.parsed.detail) > 5);
		session_request_finish(&m);
	}
}

/* A list that is none, a number that is no process id, too many, and a path that is not absolute.
 */
static void test_bad_processes(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"type\":\"processes\",\"pids\":7}",
		"{\"type\":\"processes\",\"pids\":{}}",
		"{\"type\":\"processes\",\"pids\":[0]}",
		"{\"type\":\"processes\",\"pids\":[-1]}",
		"{\"type\":\"processes\",\"pids\":[1.5]}",
		"{\"type\":\"processes\",\"pids\":[\"1\"]}",
		"{\"type\":\"processes\",\"pids\":[2147483648]}",
		"{\"type\":\"processes\",\"pids\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
		"{\"type\":\"processes\",\"cgroup\":\"sys/fs/cgroup\"}",
		"{\"type\":\"processes\",\"pids\":[7],\"keeper\":8}",
		"{\"type\":\"processes\",\"pids\":[7],\"keeper\":\"7\"}",
		"{\"type\":\"processes\",\"cgroup\":\"\"}",
		"{\"type\":\"processes\",\"cgroup\":7}",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct session_request m;
		assert_int_equal(parse(texts[i], "tool", &m), -ERR_BAD_FIELD);
		assert_true(m.parsed.detail[0]);
		session_request_finish(&m);
	}
}

/* C38, P31: a list, a number, an unknown type, a half message: an error each, and nothing else. */
#define TEXT_40  "0123456789012345678901234567890123456789"
#define TEXT_121 TEXT_40 TEXT_40 TEXT_40 "0"

static void test_bad_messages(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{"[]", -ERR_BAD_JSON},
		{"5", -ERR_BAD_JSON},
		{"null", -ERR_BAD_JSON},
		{"\"x\"", -ERR_BAD_JSON},
		{"", -ERR_BAD_JSON},
		{"{", -ERR_BAD_JSON},
		{"{\"type\":\"alive\",\"type\":\"bye\"}", -ERR_BAD_JSON},
		{"{}", -ERR_BAD_FIELD},
		{"{\"type\":5}", -ERR_BAD_FIELD},
		{"{\"type\":null}", -ERR_BAD_FIELD},
		{"{\"type\":\"\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"nonsense\"}", -ERR_PROTOCOL},
		{"{\"type\":\"Alive\"}", -ERR_PROTOCOL},
		{"{\"type\":\"hello\",\"id\":\"x\"}", -ERR_PROTOCOL},
		{"{\"type\":\"welcome\"}", -ERR_PROTOCOL},
		{"{\"type\":\"acquire\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"acquire\",\"ref\":0}", -ERR_BAD_FIELD},
		{"{\"type\":\"acquire\",\"ref\":-1}", -ERR_BAD_FIELD},
		{"{\"type\":\"acquire\",\"ref\":9007199254740992}", -ERR_BAD_FIELD},
		{"{\"type\":\"accept\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"accept\",\"lease\":\"7\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"cancel\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"release\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"release\",\"lease\":7,\"requeue\":1}", -ERR_BAD_FIELD},
		{"{\"type\":\"release\",\"lease\":7,\"detail\":1}", -ERR_BAD_FIELD},
		{"{\"type\":\"release\",\"lease\":7,\"detail\":\"a\\nb\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"release\",\"lease\":7,\"detail\":\"\\u202e\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"release\",\"lease\":7,\"detail\":\"" TEXT_121 "\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"yielding\",\"lease\":7}", -ERR_BAD_FIELD},
		{"{\"type\":\"yielding\",\"lease\":7,\"need_ms\":3600001}", -ERR_BAD_FIELD},
		{"{\"type\":\"renew\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"change\",\"lease\":7}", -ERR_BAD_FIELD},
		{"{\"type\":\"change\",\"lease\":7,\"slots\":0}", -ERR_BAD_FIELD},
		{"{\"type\":\"change\",\"lease\":7,\"vram_mb\":1}", -ERR_BAD_FIELD},
		{"{\"type\":\"yielding\",\"need_ms\":7}", -ERR_BAD_FIELD},
		{"{\"type\":\"change\",\"slots\":0,\"vram_mb\":1}", -ERR_BAD_FIELD},
		{"{\"type\":\"change\",\"lease\":7,\"slots\":\"0\",\"vram_mb\":1}", -ERR_BAD_FIELD},
		{"{\"type\":\"lend\",\"to\":7}", -ERR_BAD_FIELD},
		{"{\"type\":\"logs\",\"since\":-1}", -ERR_BAD_FIELD},
		{"{\"type\":\"subscribe\",\"logs\":1}", -ERR_BAD_FIELD},
		{"{\"type\":\"admin\",\"act\":5}", -ERR_BAD_FIELD},
		{"{\"type\":\"admin\",\"act\":\"pause\",\"reason\":5}", -ERR_BAD_FIELD},
		{"{\"type\":\"admin\",\"act\":\"yield\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"lend\",\"lease\":7}", -ERR_BAD_FIELD},
		{"{\"type\":\"status\",\"limit\":1001}", -ERR_BAD_FIELD},
		{"{\"type\":\"subscribe\",\"events\":1}", -ERR_BAD_FIELD},
		{"{\"type\":\"logs\",\"limit\":2001}", -ERR_BAD_FIELD},
		{"{\"type\":\"admin\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"admin\",\"act\":\"destroy\"}", -ERR_BAD_FIELD},
		{"{\"type\":\"admin\",\"act\":\"revoke\"}", -ERR_BAD_FIELD},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct session_request m;
		int err = parse(rows[i].text, "tab", &m);
		if (err != rows[i].err)
			print_error("%s: %d %s\n", rows[i].text, err, m.parsed.detail);
		assert_int_equal(err, rows[i].err);
		assert_true(strlen(m.parsed.detail) > 5);
		session_request_finish(&m);
	}
}

/* What watching pages ask, and what a page says of itself, is judged like the rest. */
static void test_bad_words_of_pages(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"type\":\"events\",\"limit\":2001}",
		"{\"type\":\"events\",\"since\":-1}",
		"{\"type\":\"events\",\"since\":\"1\"}",
		"{\"type\":\"about\",\"page\":\"\"}",
		"{\"type\":\"about\",\"page\":\"a\\nb\"}",
		"{\"type\":\"about\",\"adapter\":\"x\\u202ey\"}",
		"{\"type\":\"about\",\"clamped\":[\"x\"]}",
		"{\"type\":\"about\",\"origin\":5}",
		"{\"type\":\"about\",\"visible\":1}",
		"{\"type\":\"about\",\"stalled_ms\":-1}",
		"{\"type\":\"about\",\"vram_mb\":1000000001}",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct session_request m;
		assert_int_equal(parse(texts[i], "tab", &m), -ERR_BAD_FIELD);
		assert_non_null(strstr(m.parsed.detail, "field `"));
		session_request_finish(&m);
	}
}

/* A refused acquire still carries its ref, so that `denied` reaches the right promise. */
static void test_ref_of_refused(void **state)
{
	(void)state;
	struct session_request m;
	assert_int_equal(parse("{\"type\":\"acquire\",\"ref\":5,\"class\":\"king\"}", "tab", &m),
			 -ERR_BAD_FIELD);
	assert_int_equal(m.ref, 5);
	session_request_finish(&m);
	assert_int_equal(parse("{\"type\":\"acquire\",\"ref\":5,\"gpu\":\"none\"}", "tab", &m),
			 -ERR_NO_GPU);
	assert_int_equal(m.ref, 5);
	session_request_finish(&m);
}

/* The class of a session's claim comes from the session's own name, not from the message. */
static void test_class_by_session(void **state)
{
	(void)state;
	static const struct class_rule rules[] = {{"Root-Mic*", LEASE_VOICE}};
	const struct wire_context with_rules = {.config = &config, .rules = rules, .rule_count = 1};
	static const char text[] =
		"{\"type\":\"acquire\",\"ref\":1,\"id\":\"Root-Mic\",\"ttl_s\":5}";
	struct session_request m;
	assert_int_equal(session_decode(text, sizeof(text) - 1, &with_rules, "tab", &m), 0);
	assert_int_equal(m.event.acquire.cls, LEASE_NORMAL);
	assert_int_equal(m.event.acquire.ttl_ms, 0);
	assert_null(m.event.acquire.name);
	session_request_finish(&m);
	assert_int_equal(session_decode(text, sizeof(text) - 1, &with_rules, "Root-Mic-2", &m), 0);
	assert_int_equal(m.event.acquire.cls, LEASE_VOICE);
	session_request_finish(&m);
}

/* Questions to the server are kept apart from events, with defaults. */
static void test_questions(void **state)
{
	(void)state;
	struct session_request m;
	assert_int_equal(parse("{\"type\":\"status\"}", "tab", &m), 0);
	assert_int_equal(m.kind, REQUEST_STATUS);
	assert_int_equal(m.limit, 200);
	session_request_finish(&m);
	assert_int_equal(parse("{\"type\":\"logs\",\"since\":12}", "tab", &m), 0);
	assert_int_equal(m.kind, REQUEST_LOGS);
	assert_int_equal(m.limit, 100);
	assert_int_equal(m.since, 12);
	session_request_finish(&m);
	assert_int_equal(parse("{\"type\":\"events\"}", "tab", &m), 0);
	assert_int_equal(m.kind, REQUEST_EVENTS);
	assert_int_equal(m.limit, 500);
	assert_int_equal(m.since, 0);
	session_request_finish(&m);
	assert_int_equal(parse("{\"type\":\"subscribe\",\"logs\":true}", "tab", &m), 0);
	assert_int_equal(m.kind, REQUEST_SUBSCRIBE);
	assert_false(m.events);
	assert_true(m.logs);
	session_request_finish(&m);
	assert_int_equal(parse("{\"type\":\"open\"}", "tab", &m), 0);
	assert_int_equal(m.kind, REQUEST_OPEN);
	session_request_finish(&m);
	assert_int_equal(parse("{\"type\":\"reload\"}", "tab", &m), 0);
	assert_int_equal(m.kind, REQUEST_RELOAD);
	session_request_finish(&m);
}

/* What is said later replaces what was said before, field by field; the longest names fit, and what
 * is not listed is ignored. */
static void test_about_merges(void **state)
{
	(void)state;
	struct client_info kept = {0};
	struct session_request m;
	char text[256], name[CLIENT_INFO_TEXT_BYTES + 2];
	assert_int_equal(parse("{\"type\":\"about\",\"page\":\"Mic\",\"visible\":true,"
			       "\"vram_mb\":7,\"mood\":[1]}",
			       "tab", &m),
			 0);
	client_info_merge(&kept, &m.about);
	session_request_finish(&m);
	assert_int_equal(parse("{\"type\":\"about\",\"visible\":false,\"stalled_ms\":15000,"
			       "\"page\":null}",
			       "tab", &m),
			 0);
	client_info_merge(&kept, &m.about);
	session_request_finish(&m);
	assert_string_equal(kept.page, "Mic");
	assert_true(kept.visible_known && !kept.visible);
	assert_true(kept.stalled_known && kept.stalled_ms == 15000);
	assert_true(kept.vram_known && kept.vram_mb == 7);
	memset(name, 'n', sizeof(name));
	for (int length = CLIENT_INFO_TEXT_BYTES; length <= CLIENT_INFO_TEXT_BYTES + 1; length++) {
		snprintf(text, sizeof(text), "{\"type\":\"about\",\"adapter\":\"%.*s\"}", length,
			 name);
		assert_int_equal(parse(text, "tab", &m),
				 length > CLIENT_INFO_TEXT_BYTES ? -ERR_BAD_FIELD : 0);
		if (length == CLIENT_INFO_TEXT_BYTES)
			assert_int_equal(strlen(m.about.adapter), CLIENT_INFO_TEXT_BYTES);
		session_request_finish(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_bad_hello),
		cmocka_unit_test(test_bad_processes),
		cmocka_unit_test(test_bad_messages),
		cmocka_unit_test(test_bad_words_of_pages),
		cmocka_unit_test(test_ref_of_refused),
		cmocka_unit_test(test_class_by_session),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_about_merges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
