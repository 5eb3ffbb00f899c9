/* adapter_read: by jansson, since these are other programs' texts and may hold what Baton's own
 * never would. */
#include "gateway/adapter_read.h"

#include <jansson.h>
#include <string.h>

static json_t *read_body(const char *body, size_t length)
{
	return json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);
}

static uint64_t whole_of(const json_t *value)
{
	json_int_t whole = json_integer_value(value);

	return whole > 0 ? (uint64_t)whole : 0;
}

/* False: there is no name. */
static bool tell_model(const json_t *name, uint64_t bytes, adapter_found *found, void *ctx)
{
	const char *text = json_string_value(name);

	if (!text || !text[0])
		return false;
	found(ctx, &(struct adapter_model){.name = text, .bytes = bytes});
	return true;
}

enum unnamed { UNNAMED_SKIPPED, UNNAMED_REFUSED };

/* What `tell` makes of each entry of the list under `key`. */
static bool read_list(const char *body, size_t length, const char *key, enum unnamed unnamed,
		      bool (*tell)(const json_t *entry, adapter_found *found, void *ctx),
		      adapter_found *found, void *ctx)
{
	json_t *root = read_body(body, length);
	const json_t *list = json_object_get(root, key), *entry;
	bool good = json_is_array(list);
	size_t i;

	json_array_foreach (list, i, entry)
		good &= tell(entry, found, ctx) || unnamed == UNNAMED_SKIPPED;

	json_decref(root);
	return good;
}

static bool tell_openai(const json_t *entry, adapter_found *found, void *ctx)
{
	return tell_model(json_object_get(entry, "id"), 0, found, ctx);
}

/* OpenAI's list: {"data":[{"id":..}]}. */
bool adapter_read_openai(const char *body, size_t length, adapter_found *found, void *ctx)
{
	return read_list(body, length, "data", UNNAMED_SKIPPED, tell_openai, found, ctx);
}

static bool tell_ollama(const json_t *entry, adapter_found *found, void *ctx)
{
	const json_t *vram = json_object_get(entry, "size_vram");
	const json_t *size = vram ? vram : json_object_get(entry, "size");

	return tell_model(json_object_get(entry, "name"), whole_of(size), found, ctx);
}

/* Ollama's /api/tags and /api/ps: {"models":[{"name":..,"size":..,"size_vram":..}]}. */
bool adapter_read_ollama(const char *body, size_t length, adapter_found *found, void *ctx)
{
	return read_list(body, length, "models", UNNAMED_SKIPPED, tell_ollama, found, ctx);
}

bool adapter_read_ollama_loaded(const char *body, size_t length, adapter_found *found, void *ctx)
{
	return read_list(body, length, "models", UNNAMED_REFUSED, tell_ollama, found, ctx);
}

/* In whatever state it is, but "unloaded", it may have memory. */
static bool tell_loaded(const json_t *entry, adapter_found *found, void *ctx)
{
	const json_t *status = json_object_get(entry, "status");
	const char *state = json_string_value(json_object_get(status, "value"));

	if (state && !strcmp(state, "unloaded"))
		return true;
	return state && tell_openai(entry, found, ctx);
}

bool adapter_read_router(const char *body, size_t length, adapter_found *found, void *ctx)
{
	return read_list(body, length, "data", UNNAMED_REFUSED, tell_loaded, found, ctx);
}

static bool tell_running(const json_t *entry, adapter_found *found, void *ctx)
{
	return tell_model(json_object_get(entry, "model"), 0, found, ctx);
}

/* llama-swap's /running: {"running":[{"model":..,"state":..}]}. */
bool adapter_read_swap(const char *body, size_t length, adapter_found *found, void *ctx)
{
	return read_list(body, length, "running", UNNAMED_REFUSED, tell_running, found, ctx);
}

int adapter_read_slots(const char *body, size_t length)
{
	json_t *root = read_body(body, length);
	const json_t *slot;
	int busy = json_is_array(root) ? 0 : -1;
	size_t i;

	json_array_foreach (root, i, slot)
		if (json_is_true(json_object_get(slot, "is_processing")))
			busy = 1;

	json_decref(root);
	return busy;
}
