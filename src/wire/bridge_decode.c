/* bridge_decode: see bridge_decode.h. Called by the gateway for each text message of such a tab. */
#include "wire/bridge_decode.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "json/json_reader.h"
#include "json/json_writer.h"
#include "wire/worker_decode.h"

enum { TOKEN_TEXT_BYTES_MAX = 256, NUMBER_DIGITS_MAX = 18 };

/* Requests have numbers; the predecessor's ids were texts, and its pages cut them as such. */
static uint64_t number_of(const char *id)
{
	uint64_t number = 0;
	size_t length = id ? strlen(id) : 0;

	if (length == 0 || length > NUMBER_DIGITS_MAX || id[0] == '0')
		return 0;
	for (; *id; id++) {
		if (*id < '0' || *id > '9')
			return 0;
		number = number * 10 + (uint64_t)(*id - '0');
	}
	return number;
}

/* `error` had to be true to Python: a text that is not empty, or anything else that is something.
 */
static const char *words_of(const struct json *error)
{
	const char *text = json_text(error);

	if (!error || error->kind == JSON_KIND_NULL || error->kind == JSON_KIND_FALSE ||
	    (text && !text[0]))
		return NULL;
	return text ? text : "it gave an error without words";
}

static void take_part(struct bridge_message *message, struct json_span whole, const char *key,
		      enum bridge_said said)
{
	const struct json *value = json_get(message->parsed.root, key);
	struct json_span part = json_span_member(whole, key);

	if (message->said != BRIDGE_NOTHING || !json_is(value, JSON_KIND_OBJECT) || !part.from)
		return;
	message->said = said;
	message->value = value;
	message->part = part;
}

int bridge_decode(const char *text, size_t length, struct bridge_message *ret_message)
{
	struct bridge_message *message = ret_message;
	struct json_span whole = {text, length};

	*message = (struct bridge_message){0};
	int err = json_parse(text, length, LIMIT_FRAME_BYTES, &message->parsed);
	if (err < 0)
		return err;

	const struct json *root = message->parsed.root;
	message->request = number_of(json_text(json_get(root, "id")));
	message->words = words_of(json_get(root, "error"));
	if (message->words)
		message->said = BRIDGE_ERROR;
	else if (json_is(json_get(root, "done"), JSON_KIND_TRUE))
		message->said = BRIDGE_DONE;
	take_part(message, whole, "chunk", BRIDGE_CHUNK);
	take_part(message, whole, "result", BRIDGE_RESULT);
	return 0;
}

void bridge_message_finish(struct bridge_message *message)
{
	parsed_finish(&message->parsed);
}

int bridge_decode_hello(const char *text, size_t length, struct bridge_hello *ret_hello)
{
	struct bridge_hello *hello = ret_hello;

	*hello = (struct bridge_hello){0};
	int err = json_parse(text, length, LIMIT_FRAME_BYTES, &hello->parsed);
	if (err == 0)
		err = json_name(&hello->parsed, hello->parsed.root, "token", TOKEN_TEXT_BYTES_MAX,
				&hello->token);
	if (err == 0)
		err = json_name(&hello->parsed, hello->parsed.root, "model", WORKER_MODEL_BYTES,
				&hello->model);
	if (err < 0)
		return err;
	return hello->token ? 0 : json_missing(&hello->parsed, "token");
}

void bridge_hello_finish(struct bridge_hello *hello)
{
	parsed_finish(&hello->parsed);
}

void bridge_encode_request(struct text *out, uint64_t request, const char *type,
			   struct json_span body, const char *model)
{
	struct json_span named = json_span_member(body, "model");
	size_t before = named.from ? (size_t)(named.from - body.from) : body.length;

	text_format(out, "{\"id\":\"%" PRIu64 "\",\"type\":\"%s\",\"data\":", request, type);
	text_add(out, body.from, before);
	if (named.from) {
		text_json_string(out, model);
		text_add(out, named.from + named.length, body.length - before - named.length);
	}
	text_char(out, '}');
}

void bridge_encode_cancel(struct text *out, uint64_t request)
{
	text_format(out, "{\"id\":\"%" PRIu64 "\",\"type\":\"cancel\"}", request);
}
