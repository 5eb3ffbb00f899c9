/* Goal: HTTP clients of the lock routes get the status, the predecessor's keys and the error object
 * (DESIGN.md section 5, P32). Method: each effect on each route that can see it, exact bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "core/config.h"
#include "core/send.h"
#include "json/json_reader.h"
#include "wire/http_encode.h"
#include "wire/json_fields.h"
#include "wire/session_encode.h"

#define HEX "00112233445566778899aabbccddeeff"

static struct core_config config = {.gpu_count = 1, .gpus = {{.name = "gpu0", .uuid = "GPU-6f1d"}}};
static const struct encode_context facts = {.config = &config};

static void expect(enum route_id route, const struct send_effect *send, int status, int retry_s,
		   const char *body)
{
	struct text text;
	struct http_answer answer;
	text_init(&text);
	assert_true(http_encode_effect(&text, route, send, &facts, &answer));
	assert_string_equal(text.bytes, body);
	assert_int_equal(answer.status, status);
	assert_int_equal(answer.retry_after_s, retry_s);
	assert_string_equal(answer.content_type, "application/json");
	text_finish(&text);
}

/* A grant has the predecessor's `status` and a token that is not null (P1). */
static void test_granted(void **state)
{
	(void)state;
	struct send_effect send = {
		.msg = SEND_GRANTED, .lease = 7, .fence = 1001, .gpus = 1, .expires_ms = 300000};
	assert_true(token_from_hex(HEX, 32, &send.token));
	expect(ROUTE_LOCK, &send, 200, 0,
	       "{\"status\":\"acquired\",\"token\":\"" HEX "\",\"lease\":7,\"fence\":1001,"
	       "\"gpu\":\"gpu0\",\"gpus\":[{\"index\":0,\"name\":\"gpu0\",\"uuid\":\"GPU-6f1d\"}],"
	       "\"expires_in_s\":300}");
}

/* Timeout, force release and refusals: the predecessor's words beside the error object. */
static void test_refusals(void **state)
{
	(void)state;
	struct send_effect send = {.msg = SEND_TIMEOUT, .lease = 7};
	expect(ROUTE_LOCK, &send, 503, 1,
	       "{\"status\":\"timeout\",\"msg\":\"GPU Queue Timeout\",\"error\":{\"code\":"
	       "\"timeout\",\"message\":\"GPU Queue Timeout\",\"retry_after_s\":1}}");
	send = (struct send_effect){.msg = SEND_RELEASED,
				    .lease = 7,
				    .end = END_FORCE_RELEASED,
				    .detail = "maintenance"};
	expect(ROUTE_LOCK, &send, 409, 0,
	       "{\"status\":\"released\",\"msg\":\"The claim was ended by an operator; ask "
	       "again.\",\"error\":{\"code\":\"released\",\"message\":\"The claim was ended by an "
	       "operator; ask again.\",\"detail\":\"maintenance\"}}");
	send = (struct send_effect){.msg = SEND_DENIED, .err = ERR_TOO_MANY_WAITING};
	struct text text;
	struct http_answer answer;
	text_init(&text);
	assert_true(http_encode_effect(&text, ROUTE_LOCK, &send, &facts, &answer));
	assert_int_equal(answer.status, 429);
	assert_non_null(strstr(text.bytes, "\"code\":\"too_many_waiting\""));
	assert_non_null(strstr(text.bytes, "\"status\":\"error\""));
	text_finish(&text);
}

/* P32: unlock says released only when something was; else 409 stale. */
static void test_unlock(void **state)
{
	(void)state;
	struct send_effect send = {.msg = SEND_RELEASED, .lease = 7, .end = END_RELEASED};
	expect(ROUTE_UNLOCK, &send, 200, 0, "{\"status\":\"released\"}");
	send = (struct send_effect){.msg = SEND_DENIED, .err = ERR_STALE};
	expect(ROUTE_UNLOCK, &send, 409, 0,
	       "{\"status\":\"error\",\"msg\":\"No held lease carries this token; acquire "
	       "again.\",\"error\":{\"code\":\"stale\",\"message\":\"No held lease carries this "
	       "token; acquire again.\"}}");
}

/* Renew and admin acts; what only a session hears is no answer and leaves the request parked. */
static void test_others(void **state)
{
	(void)state;
	struct send_effect send = {.msg = SEND_RENEWED, .lease = 7, .expires_ms = 90500};
	expect(ROUTE_RENEW, &send, 200, 0, "{\"status\":\"renewed\",\"expires_in_s\":90.5}");
	send = (struct send_effect){.msg = SEND_OK, .lease = 3};
	expect(ROUTE_RESET, &send, 200, 0, "{\"status\":\"ok\",\"count\":3}");
	send = (struct send_effect){.msg = SEND_REVOKED, .lease = 7};
	expect(ROUTE_LOCK, &send, 409, 0,
	       "{\"status\":\"error\",\"msg\":\"The lease was revoked; stop using the "
	       "GPU.\",\"error\":{\"code\":\"revoked\",\"message\":\"The lease was revoked; stop "
	       "using the GPU.\"}}");
	struct text ok;
	struct http_answer done;
	text_init(&ok);
	http_encode_ok(&ok, &done);
	assert_string_equal(ok.bytes, "{\"status\":\"ok\"}");
	assert_int_equal(done.status, 200);
	text_finish(&ok);
	static const enum send_kind silent[] = {SEND_WELCOME, SEND_CLAIM,    SEND_QUEUED,
						SEND_OFFERED, SEND_YIELD,    SEND_CHANGED,
						SEND_LENT,    SEND_HEARTBEAT};
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		struct text text;
		struct http_answer answer;
		text_init(&text);
		send.msg = silent[i];
		assert_false(http_encode_effect(&text, ROUTE_LOCK, &send, &facts, &answer));
		assert_int_equal(text.length, 0);
		text_finish(&text);
	}
}

/* Every row of the error table is a body of one shape, and its status and hint are the table's. */
static void test_error_table(void **state)
{
	(void)state;
	for (int err = 1; err < ERR_COUNT; err++) {
		struct text text;
		struct http_answer answer;
		struct parsed parsed;
		text_init(&text);
		http_encode_error(&text, -err, "which \"one\"", &answer);
		assert_int_equal(answer.status, err_http_status(err));
		assert_int_equal(answer.retry_after_s, err_retry_s(err));
		assert_int_equal(json_parse(text.bytes, text.length, text.length, &parsed), 0);
		const struct json *error = json_get(parsed.root, "error");
		assert_string_equal(json_text(json_get(error, "code")), err_name(err));
		assert_string_equal(json_text(json_get(error, "message")), err_text(err));
		assert_string_equal(json_text(json_get(error, "detail")), "which \"one\"");
		parsed_finish(&parsed);
		text_finish(&text);
	}
}

/* A lock stream tells the whole story and says which event is the last. */
static void test_stream(void **state)
{
	(void)state;
	static const struct {
		enum send_kind msg;
		bool said, last;
	} rows[] = {{SEND_QUEUED, true, false},  {SEND_GRANTED, true, false},
		    {SEND_YIELD, true, false},   {SEND_REVOKED, true, true},
		    {SEND_RELEASED, true, true}, {SEND_TIMEOUT, true, true},
		    {SEND_DENIED, true, true},   {SEND_OFFERED, false, false},
		    {SEND_CHANGED, false, false}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text text;
		bool last;
		const struct send_effect send = {.msg = rows[i].msg, .lease = 7};
		text_init(&text);
		assert_int_equal(http_encode_stream(&text, &send, &facts, &last), rows[i].said);
		assert_int_equal(last, rows[i].last);
		assert_int_equal(text.length > 0, rows[i].said);
		text_finish(&text);
	}
	struct text text;
	bool last;
	const struct send_effect send = {
		.msg = SEND_REVOKED, .lease = 7, .reason = YIELD_OPERATOR, .detail = "a\nb"};
	text_init(&text);
	http_encode_stream(&text, &send, &facts, &last);
	assert_string_equal(text.bytes, "event: revoked\ndata: {\"type\":\"revoked\",\"lease\":7,"
					"\"reason\":\"operator\",\"detail\":\"a\\nb\"}\n\n");
	text_clear(&text);
	http_encode_sse(&text, 12, "event", "{\"id\":12}");
	http_encode_sse_keepalive(&text);
	assert_string_equal(text.bytes, "id: 12\nevent: event\ndata: {\"id\":12}\n\n:\n\n");
	text_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_granted),     cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_unlock),      cmocka_unit_test(test_others),
		cmocka_unit_test(test_error_table), cmocka_unit_test(test_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
