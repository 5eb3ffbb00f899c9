/* Goal: each API's clients read Baton's code and message, before an answer and in the middle; the
 * broker's routes that take an inference request are those that the gateway knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "gateway/api_error.h"
#include "wire/route.h"

static const struct api_error lost = {
	.err = ERR_OUTRANKED, .message = "say \"again\"\n", .retry_ms = 61 * 1000};
static const struct api_error unknown = {.err = ERR_MODEL_NOT_FOUND, .message = "no `m`"};

static void check_body(enum api_wire wire, const struct api_error *error, const char *want)
{
	cleanup_text struct text out = {0};

	api_error_body(&out, wire, error);
	assert_string_equal(out.bytes, want);
}

static void test_bodies(void **state)
{
	(void)state;

	check_body(API_OPENAI, &unknown,
		   "{\"error\":{\"message\":\"no `m`\",\"type\":\"invalid_request_error\","
		   "\"param\":\"model\",\"code\":\"model_not_found\"}}");
	check_body(API_RESPONSES, &lost,
		   "{\"error\":{\"message\":\"say \\\"again\\\"\\n\",\"type\":\"server_error\","
		   "\"param\":null,\"code\":\"outranked\"}}");
	check_body(API_ANTHROPIC, &unknown,
		   "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\","
		   "\"message\":\"no `m`\",\"code\":\"model_not_found\"}}");
	check_body(API_OLLAMA, &unknown, "{\"error\":\"no `m`\",\"code\":\"model_not_found\"}");
	assert_int_equal(api_error_status(&unknown), 404);
	assert_int_equal(api_error_retry_s(&unknown), 0);
	assert_int_equal(api_error_retry_s(&lost), 59);
}

static void check_event(enum api_wire wire, const char *want)
{
	struct api_stream_position position = {
		.response_id = "resp_1", .sequence = 41, .model = "m", .created_s = 1700000000};
	cleanup_text struct text out = {0};

	api_error_event(&out, wire, &unknown, &position);
	assert_string_equal(out.bytes, want);
}

static void test_events(void **state)
{
	(void)state;

	check_event(API_OPENAI,
		    "data: {\"error\":{\"message\":\"no `m`\",\"type\":\"invalid_request_error\","
		    "\"param\":\"model\",\"code\":\"model_not_found\"}}\n\n");
	check_event(
		API_ANTHROPIC,
		"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
		"\"not_found_error\",\"message\":\"no `m`\",\"code\":\"model_not_found\"}}\n\n");
	check_event(API_OLLAMA, "{\"error\":\"no `m`\",\"code\":\"model_not_found\"}\n");
}

/* A Response with every field that its schema asks for. */
static void test_response_failed(void **state)
{
	(void)state;

	check_event(
		API_RESPONSES,
		"event: response.failed\ndata: {\"type\":\"response.failed\","
		"\"sequence_number\":42,\"response\":{\"id\":\"resp_1\",\"object\":\"response\","
		"\"created_at\":1700000000,\"status\":\"failed\",\"model\":\"m\","
		"\"error\":{\"code\":\"model_not_found\",\"message\":\"no `m`\"},"
		"\"completed_at\":null,\"incomplete_details\":null,"
		"\"previous_response_id\":null,\"instructions\":null,\"output\":[],"
		"\"tools\":[],\"tool_choice\":\"auto\",\"truncation\":\"disabled\","
		"\"parallel_tool_calls\":true,\"text\":{\"format\":{\"type\":\"text\"}},"
		"\"top_p\":1,\"presence_penalty\":0,\"frequency_penalty\":0,"
		"\"top_logprobs\":0,\"temperature\":1,\"reasoning\":null,\"user\":null,"
		"\"usage\":null,\"max_output_tokens\":null,\"max_tool_calls\":null,"
		"\"store\":false,\"background\":false,\"service_tier\":\"default\","
		"\"metadata\":{},\"safety_identifier\":null,\"prompt_cache_key\":null}}\n\n");
}

static void test_routes(void **state)
{
	unsigned count, streamed = 0;
	size_t table_count;
	const struct api_route *routes = api_routes(&count);
	const struct route *table = route_table(&table_count);
	(void)state;

	for (unsigned i = 0; i < count; i++)
		assert_ptr_equal(api_route_of(routes[i].path), &routes[i]);
	for (size_t i = 0; i < table_count; i++) {
		if (!(table[i].flags & ROUTE_STREAMED))
			continue;
		assert_non_null(api_route_of(table[i].path));
		streamed++;
	}
	assert_int_equal(streamed, count);
	assert_null(api_route_of("/v1/chat"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_response_failed),
		cmocka_unit_test(test_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
