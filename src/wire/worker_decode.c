/* worker_decode: see worker_decode.h. Called by the server for each text message of a worker. */
#include "wire/worker_decode.h"

#include <string.h>

#include "base/err.h"
#include "base/limits.h"
#include "json/json_reader.h"

enum { VRAM_MB_MAX = 16 * 1024 * 1024, TOKEN_TEXT_BYTES_MAX = 256 };

/* What JavaScript can count to exactly. */
static const uint64_t number_max = (UINT64_C(1) << 53) - 1;

static int required_number(struct worker_message *m, const char *field, uint64_t *ret_number)
{
	bool given = false;
	int err = json_u64(&m->parsed, m->parsed.root, field, 1, number_max, ret_number, &given);

	if (err < 0)
		return err;
	return given ? 0 : json_missing(&m->parsed, field);
}

static bool named_before(const struct worker_message *m, const char *name)
{
	for (unsigned i = 0; i < m->model_count; i++)
		if (!strcmp(m->models[i].name, name))
			return true;
	return false;
}

static int decode_model(struct worker_message *m, const struct json *entry)
{
	struct worker_model *model = &m->models[m->model_count];
	int err;

	if (!json_is(entry, JSON_KIND_OBJECT))
		return json_refuse(&m->parsed, "models", "expected objects");

	err = json_name(&m->parsed, entry, "id", WORKER_MODEL_BYTES, &model->name);
	if (err == 0)
		err = json_bool(&m->parsed, entry, "loaded", &model->loaded);
	if (err == 0)
		err = json_u64(&m->parsed, entry, "vram_mb", 0, VRAM_MB_MAX, &model->vram_mb, NULL);
	if (err < 0)
		return err;
	if (!model->name)
		return json_missing(&m->parsed, "id");
	if (named_before(m, model->name))
		return json_refuse(&m->parsed, "models", "a name stands there twice");

	model->paths = json_get(entry, "paths");
	if (!json_is(model->paths, JSON_KIND_ARRAY) || json_count(model->paths) > WORKER_PATHS_MAX)
		return json_refuse(&m->parsed, "paths", "expected a list of at most 32 texts");
	m->model_count++;
	return 0;
}

/* What it serves: hello and models. */
static int decode_offer(struct worker_message *m)
{
	const struct json *models = json_get(m->parsed.root, "models");
	uint64_t concurrency = 1;
	int err = json_u64(&m->parsed, m->parsed.root, "concurrency", 1, WORKER_CONCURRENCY_MAX,
			   &concurrency, NULL);

	if (err < 0)
		return err;
	if (!json_is(models, JSON_KIND_ARRAY) || json_count(models) > WORKER_MODELS_MAX)
		return json_refuse(&m->parsed, "models", "expected a list of at most 32 objects");

	m->concurrency = (unsigned)concurrency;
	for (size_t i = 0; i < json_count(models); i++) {
		err = decode_model(m, json_at(models, i));
		if (err < 0)
			return err;
	}
	return 0;
}

static int decode_hello(struct worker_message *m)
{
	uint64_t version = WORKER_VERSION;
	int err = json_u64(&m->parsed, m->parsed.root, "version", 0, number_max, &version, NULL);

	if (err < 0)
		return err;
	if (version != WORKER_VERSION) {
		json_refuse(&m->parsed, "version", "this broker speaks version 1");
		return -ERR_VERSION;
	}

	err = json_name(&m->parsed, m->parsed.root, "id", LIMIT_ID_BYTES, &m->name);
	if (err == 0)
		err = json_name(&m->parsed, m->parsed.root, "token", TOKEN_TEXT_BYTES_MAX,
				&m->token);
	if (err < 0)
		return err;
	return m->name ? decode_offer(m) : json_missing(&m->parsed, "id");
}

static const char *const content_types[] = {"application/json", "text/event-stream", "text/plain"};

/* One of those that answers have: it stands in a header. */
static int decode_content_type(struct worker_message *m)
{
	const struct json *value = json_get(m->parsed.root, "content_type");
	const char *text = json_text(value);

	m->content_type = content_types[0];
	if (!value || json_is(value, JSON_KIND_NULL))
		return 0;
	for (size_t i = 0; text && i < sizeof(content_types) / sizeof(content_types[0]); i++) {
		if (strcmp(content_types[i], text) != 0)
			continue;
		m->content_type = content_types[i];
		return 0;
	}
	return json_refuse(&m->parsed, "content_type",
			   "expected application/json, text/event-stream or text/plain");
}

static int decode_head(struct worker_message *m)
{
	uint64_t status = 200;
	int err = required_number(m, "request", &m->request);

	if (err == 0)
		err = json_u64(&m->parsed, m->parsed.root, "status", 200, 599, &status, NULL);
	if (err == 0)
		err = decode_content_type(m);
	m->status = (int)status;
	return err;
}

static int decode_piece(struct worker_message *m)
{
	const struct json *text = json_get(m->parsed.root, "text");
	int err = required_number(m, "request", &m->request);

	if (err < 0)
		return err;
	if (!json_is(text, JSON_KIND_STRING))
		return json_refuse(&m->parsed, "text", "expected a text");
	m->text = text->text;
	m->text_length = text->count;
	return 0;
}

static int decode_took(struct worker_message *m)
{
	return required_number(m, "bytes", &m->bytes);
}

static int decode_end(struct worker_message *m)
{
	const struct json *words = json_get(m->parsed.root, "message");
	const char *code = NULL;
	int err = required_number(m, "request", &m->request);

	if (err == 0)
		err = json_name(&m->parsed, m->parsed.root, "code", LIMIT_LABEL_BYTES, &code);
	if (err < 0)
		return err;

	m->err = code ? err_from_name(code) : 0;
	if (!json_is(words, JSON_KIND_STRING))
		return 0;
	if (words->count > WORKER_MESSAGE_BYTES)
		return json_refuse(&m->parsed, "message", "expected at most 400 bytes");
	m->words = words->text;
	return 0;
}

static int decode_nothing(struct worker_message *m)
{
	(void)m;
	return 0;
}

static const struct {
	const char *type;
	int (*decode)(struct worker_message *m);
} messages[] = {
	[WORKER_HELLO] = {"hello", decode_hello}, [WORKER_MODELS] = {"models", decode_offer},
	[WORKER_HEAD] = {"head", decode_head},    [WORKER_PIECE] = {"piece", decode_piece},
	[WORKER_TOOK] = {"took", decode_took},    [WORKER_END] = {"end", decode_end},
	[WORKER_PONG] = {"pong", decode_nothing},
};

int worker_decode(const char *text, size_t length, struct worker_message *ret_message)
{
	struct worker_message *m = ret_message;
	const char *type;
	int err;

	*m = (struct worker_message){0};
	err = json_parse(text, length, LIMIT_FRAME_BYTES, &m->parsed);
	if (err < 0)
		return err;

	type = json_text(json_get(m->parsed.root, "type"));
	for (size_t i = 0; type && i < sizeof(messages) / sizeof(messages[0]); i++) {
		if (strcmp(messages[i].type, type) != 0)
			continue;
		m->said = (enum worker_said)i;
		return messages[i].decode(m);
	}
	json_refuse(&m->parsed, "type", "expected what docs/protocol.md lists for workers");
	return -ERR_PROTOCOL;
}

void worker_message_finish(struct worker_message *message)
{
	parsed_finish(&message->parsed);
}
