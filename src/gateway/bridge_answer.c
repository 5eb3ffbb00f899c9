/* bridge_answer: see bridge_answer.h. */
#include "gateway/bridge_answer.h"

#include <stdio.h>

#include "json/json_reader.h"
#include "json/json_span.h"
#include "json/json_writer.h"

void bridge_answer_finish(struct bridge_answer *answer)
{
	if (answer->content.bytes)
		explicit_bzero(answer->content.bytes, answer->content.length);
	text_finish(&answer->content);
	text_finish(&answer->tool_calls);
	text_finish(&answer->usage);
}

/* Only a text that fits is one of those that are known. */
static void keep_word(char *ret_word, size_t size, const struct json *value)
{
	const char *word = json_text(value);

	if (word && word[0] && strlen(word) < size)
		snprintf(ret_word, size, "%s", word);
}

static void keep_part(struct text *ret_part, struct json_span part)
{
	text_clear(ret_part);
	text_add(ret_part, part.from, part.length);
}

static void take_delta(struct bridge_answer *answer, const struct json *delta,
		       struct json_span part)
{
	const char *content = json_text(json_get(delta, "content"));

	if (content)
		text_str(&answer->content, content);
	if (json_is(json_get(delta, "tool_calls"), JSON_KIND_ARRAY))
		keep_part(&answer->tool_calls, json_span_member(part, "tool_calls"));
}

bool bridge_answer_take(struct bridge_answer *answer, const struct json *chunk,
			struct json_span part)
{
	const struct json *choice = json_at(json_get(chunk, "choices"), 0);
	const struct json *created = json_get(chunk, "created");
	struct json_span choice_part = json_span_first(json_span_member(part, "choices"));

	if (!answer->any) {
		keep_word(answer->id, sizeof(answer->id), json_get(chunk, "id"));
		answer->created = json_whole(created) > 0 ? json_whole(created) : 0;
	}
	answer->any = true;
	take_delta(answer, json_get(choice, "delta"), json_span_member(choice_part, "delta"));
	keep_word(answer->finish, sizeof(answer->finish), json_get(choice, "finish_reason"));
	if (json_is(json_get(chunk, "usage"), JSON_KIND_OBJECT))
		keep_part(&answer->usage, json_span_member(part, "usage"));
	return answer->content.length <= BRIDGE_ANSWER_BYTES_MAX;
}

static void write_message(const struct bridge_answer *answer, struct text *out)
{
	bool speaks = answer->content.length > 0 || answer->tool_calls.length == 0;

	text_json_key(out, "message");
	text_char(out, '{');
	text_json_str(out, "role", "assistant");
	text_json_str(out, "content",
		      !speaks                 ? NULL
		      : answer->content.bytes ? answer->content.bytes
					      : "");
	if (answer->tool_calls.length > 0) {
		text_json_key(out, "tool_calls");
		text_add(out, answer->tool_calls.bytes, answer->tool_calls.length);
	}
	text_char(out, '}');
}

void bridge_answer_write(const struct bridge_answer *answer, const char *model, struct text *out)
{
	text_char(out, '{');
	text_json_str(out, "id", answer->id[0] ? answer->id : "chatcmpl-bridge");
	text_json_str(out, "object", "chat.completion");
	text_json_i64(out, "created", answer->created);
	text_json_str(out, "model", model);

	text_json_key(out, "choices");
	text_str(out, "[{");
	text_json_u64(out, "index", 0);
	write_message(answer, out);
	text_json_str(out, "finish_reason", answer->finish[0] ? answer->finish : "stop");
	text_str(out, "}]");

	if (answer->usage.length > 0) {
		text_json_key(out, "usage");
		text_add(out, answer->usage.bytes, answer->usage.length);
	}
	text_char(out, '}');
}
