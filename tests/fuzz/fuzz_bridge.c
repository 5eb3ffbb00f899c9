/* Goal: whatever a tab of the predecessor's kind says, its parts lie inside what it said and are
 * JSON by themselves, so are the answer that is put together of them and a request with another
 * model's name in it. Method: libFuzzer, or the corpus as a plain test; each line of the input is a
 * message, and a request. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "gateway/bridge_answer.h"
#include "json/json_reader.h"
#include "wire/bridge_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_json(const char *bytes, size_t length)
{
	struct parsed parsed = {0};
	int err = json_parse(bytes, length, SIZE_MAX, &parsed);

	parsed_finish(&parsed);
	return err == 0;
}

static void take(struct bridge_answer *answer, const char *line, size_t length)
{
	struct bridge_message message;
	struct json_span part;
	int err = bridge_decode(line, length, &message);

	part = message.part;
	if (err == 0 && part.from) {
		assert(part.from >= line && part.from + part.length <= line + length);
		assert(is_json(part.from, part.length) && json_is(message.value, JSON_KIND_OBJECT));
		(void)bridge_answer_take(answer, message.value, part);
	}
	bridge_message_finish(&message);
}

static void ask(const char *line, size_t length)
{
	const struct json_span body = {line, length};
	cleanup_text struct text out = {0}, nested = {0};

	(void)json_span_member(body, "model"); /* of no JSON, too */
	if (!is_json(line, length))
		return;
	bridge_encode_request(&out, 1, "chat", body, "\"m\"");
	text_str(&nested, "{\"data\":"); /* one level deeper it may be too deep */
	text_add(&nested, line, length);
	text_char(&nested, '}');
	assert(is_json(out.bytes, out.length) == is_json(nested.bytes, nested.length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct bridge_answer answer = {0};
	cleanup_text struct text whole = {0};

	while (at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((line ? line : end) - at);
		take(&answer, at, length);
		ask(at, length);
		at += length + 1;
	}

	bridge_answer_write(&answer, "m", &whole);
	assert(is_json(whole.bytes, whole.length));
	bridge_answer_finish(&answer);
	return 0;
}
