/* adapter_read: by jansson, since these are other programs' texts and may hold what Baton's own
 * never would. */
#include "gateway/adapter_read.h"

#include <jansson.h>
#include <string.h>

static json_t *read_object(const char *body, size_t length)
{
	return json_loadb(body, length, 0, NULL);
}

static uint64_t whole_of(const json_t *value)
{
	json_int_t whole = json_integer_value(value);

	return whole > 0 ? (uint64_t)whole : 0;
}

static void tell_model(const json_t *name, uint64_t bytes, adapter_found *found, void *ctx)
{
	const char *text = json_string_value(name);

	if (text && text[0])
		found(ctx, &(struct adapter_model){.name = text, .bytes = bytes});
}

/* OpenAI's list: {"data":[{"id":..}]}. */
bool adapter_read_openai(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_object(body, length);
	const json_t *data = json_object_get(root, "data"), *model;
	bool good = json_is_array(data);
	size_t i;

	json_array_foreach (data, i, model)
		tell_model(json_object_get(model, "id"), 0, found, ctx);

	json_decref(root);
	return good;
}

/* Ollama's /api/tags and /api/ps: {"models":[{"name":..,"size":..,"size_vram":..}]}. */
bool adapter_read_ollama(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_object(body, length);
	const json_t *models = json_object_get(root, "models"), *model;
	bool good = json_is_array(models);
	size_t i;

	json_array_foreach (models, i, model) {
		const json_t *vram = json_object_get(model, "size_vram");
		const json_t *size = vram ? vram : json_object_get(model, "size");

		tell_model(json_object_get(model, "name"), whole_of(size), found, ctx);
	}

	json_decref(root);
	return good;
}

bool adapter_read_router(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_object(body, length);
	const json_t *data = json_object_get(root, "data"), *model;
	bool good = json_is_array(data);
	size_t i;

	json_array_foreach (data, i, model) {
		const json_t *status = json_object_get(model, "status");
		const char *state = json_string_value(json_object_get(status, "value"));

		if (state && (!strcmp(state, "loaded") || !strcmp(state, "loading")))
			tell_model(json_object_get(model, "id"), 0, found, ctx);
	}

	json_decref(root);
	return good;
}

/* llama-swap's /running: {"running":[{"model":..,"state":..}]}. */
bool adapter_read_swap(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_object(body, length);
	const json_t *running = json_object_get(root, "running"), *model;
	bool good = json_is_array(running);
	size_t i;

	json_array_foreach (running, i, model)
		tell_model(json_object_get(model, "model"), 0, found, ctx);

	json_decref(root);
	return good;
}

int adapter_read_slots(const char *body, size_t length)
{
	json_t *root = read_object(body, length);
	const json_t *slot;
	int busy = json_is_array(root) ? 0 : -1;
	size_t i;

	json_array_foreach (root, i, slot)
		if (json_is_true(json_object_get(slot, "is_processing")))
			busy = 1;

	json_decref(root);
	return busy;
}
