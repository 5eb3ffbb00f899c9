/* api_error: shapes as the official clients parse them (OpenAI, Anthropic, Ollama). */
#include "gateway/api_error.h"

#include "base/err.h"
#include "json/json_writer.h"

enum { RETRY_S_MAX = 59 }; /* npm's ai, and older clients of OpenAI, pass over a minute and more */

const char *api_error_content_type(enum api_wire wire)
{
	return wire == API_OLLAMA ? "application/json; charset=utf-8" : "application/json";
}

int api_error_status(const struct api_error *error)
{
	return err_http_status(error->err);
}

int api_error_retry_s(const struct api_error *error)
{
	int64_t retry_s =
		error->retry_ms > 0 ? (error->retry_ms + 999) / 1000 : err_retry_s(error->err);

	return retry_s > RETRY_S_MAX ? RETRY_S_MAX : (int)retry_s;
}

static const char *openai_type(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 429:
		return "rate_limit_error";
	default:
		return status < 500 ? "invalid_request_error" : "server_error";
	}
}

static const char *anthropic_type(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 404:
		return "not_found_error";
	case 413:
		return "request_too_large";
	case 429:
		return "rate_limit_error";
	case 503:
		return "overloaded_error";
	default:
		return status < 500 ? "invalid_request_error" : "api_error";
	}
}

/* `,"error":{..}`, or without the comma at the beginning of an object. */
static void add_openai(struct text *out, const struct api_error *error)
{
	text_json_key(out, "error");
	text_char(out, '{');
	text_json_str(out, "message", error->message);
	text_json_str(out, "type", openai_type(api_error_status(error)));
	text_json_str(out, "param", error->err == ERR_MODEL_NOT_FOUND ? "model" : NULL);
	text_json_str(out, "code", err_name(error->err));
	text_char(out, '}');
}

static void add_anthropic(struct text *out, const struct api_error *error)
{
	text_json_str(out, "type", "error");
	text_json_key(out, "error");
	text_char(out, '{');
	text_json_str(out, "type", anthropic_type(api_error_status(error)));
	text_json_str(out, "message", error->message);
	text_json_str(out, "code", err_name(error->err));
	text_char(out, '}');
}

/* A Response has all of its fields, whatever became of it: strict readers take no other. What the
 * client asked for was not read, so these are the values that say nothing. */
static const char unread_fields[] =
	"\"completed_at\":null,\"incomplete_details\":null,\"previous_response_id\":null,"
	"\"instructions\":null,\"output\":[],\"tools\":[],\"tool_choice\":\"auto\","
	"\"truncation\":\"disabled\",\"parallel_tool_calls\":true,"
	"\"text\":{\"format\":{\"type\":\"text\"}},\"top_p\":1,\"presence_penalty\":0,"
	"\"frequency_penalty\":0,\"top_logprobs\":0,\"temperature\":1,\"reasoning\":null,"
	"\"user\":null,\"usage\":null,\"max_output_tokens\":null,\"max_tool_calls\":null,"
	"\"store\":false,\"background\":false,\"service_tier\":\"default\",\"metadata\":{},"
	"\"safety_identifier\":null,\"prompt_cache_key\":null";

static void add_response_failed(struct text *out, const struct api_error *error,
				const struct api_stream_position *position)
{
	text_json_str(out, "type", "response.failed");
	text_json_i64(out, "sequence_number", position->sequence + 1);

	text_json_key(out, "response");
	text_char(out, '{');
	text_json_str(out, "id", position->response_id);
	text_json_str(out, "object", "response");
	text_json_i64(out, "created_at", position->created_s);
	text_json_str(out, "status", "failed");
	text_json_str(out, "model", position->model ? position->model : "");

	text_json_key(out, "error");
	text_char(out, '{');
	text_json_str(out, "code", err_name(error->err));
	text_json_str(out, "message", error->message);
	text_str(out, "},");
	text_str(out, unread_fields);
	text_char(out, '}');
}

void api_error_body(struct text *out, enum api_wire wire, const struct api_error *error)
{
	text_char(out, '{');
	if (wire == API_OLLAMA) {
		text_json_str(out, "error", error->message);
		text_json_str(out, "code", err_name(error->err));
	} else if (wire == API_ANTHROPIC) {
		add_anthropic(out, error);
	} else {
		add_openai(out, error);
	}
	text_char(out, '}');
}

void api_error_event(struct text *out, enum api_wire wire, const struct api_error *error,
		     const struct api_stream_position *position)
{
	if (wire == API_OLLAMA) {
		api_error_body(out, wire, error);
		text_char(out, '\n');
		return;
	}

	if (wire == API_ANTHROPIC)
		text_str(out, "event: error\n");
	else if (wire == API_RESPONSES)
		text_str(out, "event: response.failed\n");

	text_str(out, "data: ");
	if (wire == API_RESPONSES) {
		text_char(out, '{');
		add_response_failed(out, error, position);
		text_char(out, '}');
	} else {
		api_error_body(out, wire, error);
	}
	text_str(out, "\n\n");
}
