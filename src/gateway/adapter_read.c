/* adapter_read: by jansson, since these are other programs' texts and may hold what Baton's own
 * never would. */
#include "gateway/adapter_read.h"

#include <jansson.h>
#include <string.h>

#include "gateway/event_scan.h"

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

static bool tell_instances(const json_t *entry, adapter_found *found, void *ctx)
{
	const json_t *instances = json_object_get(entry, "loaded_instances");

	if (!json_is_array(instances))
		return false;
	return json_array_size(instances) == 0 ||
	       tell_model(json_object_get(entry, "key"), 0, found, ctx);
}

/* LM Studio's /api/v1/models: {"models":[{"key":..,"loaded_instances":[{"id":..}]}]}. An instance
 * is called as its model is, the first of each. */
bool adapter_read_lmstudio(const char *body, size_t length, adapter_found *found, void *ctx)
{
	return read_list(body, length, "models", UNNAMED_REFUSED, tell_instances, found, ctx);
}

static bool tell_localai(const json_t *entry, adapter_found *found, void *ctx)
{
	return tell_model(json_object_get(entry, "id"),
			  whole_of(json_object_get(entry, "size_vram")), found, ctx);
}

/* LocalAI's /system: {"loaded_models":[{"id":..,"size_vram":..}]}. */
bool adapter_read_localai(const char *body, size_t length, adapter_found *found, void *ctx)
{
	return read_list(body, length, "loaded_models", UNNAMED_REFUSED, tell_localai, found, ctx);
}

static bool tell_lemonade(const json_t *entry, adapter_found *found, void *ctx)
{
	return tell_model(json_object_get(entry, "model_name"), 0, found, ctx);
}

/* Lemonade's /v1/health: {"all_models_loaded":[{"model_name":..}]}. */
bool adapter_read_lemonade(const char *body, size_t length, adapter_found *found, void *ctx)
{
	return read_list(body, length, "all_models_loaded", UNNAMED_REFUSED, tell_lemonade, found,
			 ctx);
}

/* KoboldCpp's /api/admin/list_options: files' names, and words that are none. */
bool adapter_read_kobold_files(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_body(body, length);
	const json_t *entry;
	bool good = json_is_array(root);
	size_t i;

	json_array_foreach (root, i, entry) {
		const char *name = json_string_value(entry);
		if (name && strcmp(name, "unload_model") != 0 && strcmp(name, "initial_model") != 0)
			tell_model(entry, 0, found, ctx);
	}

	json_decref(root);
	return good;
}

/* Its /api/v1/model: {"result":"koboldcpp/NAME"}; "inactive": none. To who shows no password it has
 * a name that is none. */
bool adapter_read_kobold(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_body(body, length);
	const json_t *result = json_object_get(root, "result");
	const char *name = json_string_value(result);
	bool good = name && strcmp(name, "koboldcpp/protected-model") != 0;

	if (good && strcmp(name, "inactive") != 0)
		good = tell_model(result, 0, found, ctx);
	json_decref(root);
	return good;
}

bool adapter_read_success(const char *body, size_t length)
{
	json_t *root = read_body(body, length);
	bool done = json_is_true(json_object_get(root, "success"));

	json_decref(root);
	return done;
}

/* TabbyAPI's /v1/model: {"id":..}. */
bool adapter_read_tabby(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_body(body, length);
	bool good = tell_openai(root, found, ctx);

	json_decref(root);
	return good;
}

/* An error, in whatever shape: its version says which. */
bool adapter_read_tabby_none(const char *body, size_t length)
{
	static const char none[] = "No models are currently loaded";

	return memmem(body, length, none, sizeof(none) - 1) != NULL;
}

bool adapter_read_health(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_body(body, length);
	const char *status = json_string_value(json_object_get(root, "status"));
	bool good = status && !strcmp(status, "ok");
	(void)found, (void)ctx;

	json_decref(root);
	return good;
}

int adapter_read_slots(const char *body, size_t length, const char *prompt)
{
	json_t *root = read_body(body, length);
	const json_t *slot;
	int busy = json_is_array(root) ? 0 : -1;
	size_t i;
	(void)prompt;

	json_array_foreach (root, i, slot)
		if (json_is_true(json_object_get(slot, "is_processing")))
			busy = 1;

	json_decref(root);
	return busy;
}

bool adapter_status_pending(const char *status)
{
	return !strcmp(status, "queued") || !strcmp(status, "in_progress");
}

bool adapter_read_pending(const char *body, size_t length)
{
	json_t *root = read_body(body, length);
	const char *status = json_string_value(json_object_get(root, "status"));
	bool pending = status && adapter_status_pending(status);

	json_decref(root);
	return pending;
}

static void note_status(void *ctx, const struct event_member *member)
{
	int *pending = ctx;

	if (*pending < 0 && member->type == EVENT_TEXT && !strcmp(member->path, "status"))
		*pending = adapter_status_pending(member->value);
}

int adapter_read_pending_part(const char *body, size_t length)
{
	struct event_scan scan = {.state = EVENT_BETWEEN};
	int pending = -1;

	event_scan_take(&scan, body, length, note_status, &pending);
	return pending;
}

/* Entries are [number, id, ..]; without a prompt any counts. */
static bool has_entry(const json_t *list, const char *prompt)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry) {
		const char *id = json_string_value(json_array_get(entry, 1));
		if (!prompt || (id && !strcmp(id, prompt)))
			return true;
	}
	return false;
}

int adapter_read_queue(const char *body, size_t length, const char *prompt)
{
	json_t *root = read_body(body, length);
	const json_t *running = json_object_get(root, "queue_running");
	const json_t *pending = json_object_get(root, "queue_pending");
	int busy = -1;

	if (json_is_array(running) && json_is_array(pending))
		busy = has_entry(running, prompt) || has_entry(pending, prompt);
	json_decref(root);
	return busy;
}

/* Less is what PyTorch keeps without a model. */
#define RESERVE_BYTES ((uint64_t)512 << 20)

static void tell_reserved(uint64_t bytes, adapter_found *found, void *ctx)
{
	if (bytes > RESERVE_BYTES)
		found(ctx, &(struct adapter_model){.name = "", .bytes = bytes});
}

/* Of a processor the same field has the machine's memory. One that says nothing of a card's leaves
 * open what it has. */
bool adapter_read_comfyui(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_body(body, length);
	const json_t *devices = json_object_get(root, "devices"), *device;
	bool good = json_is_array(devices);
	uint64_t bytes = 0;
	size_t i;

	json_array_foreach (devices, i, device) {
		const char *type = json_string_value(json_object_get(device, "type"));
		const json_t *reserved = json_object_get(device, "torch_vram_total");
		bool card = type && !strcmp(type, "cuda");
		good &= type && (!card || json_is_integer(reserved));
		if (card && whole_of(reserved) > bytes)
			bytes = whole_of(reserved);
	}
	tell_reserved(bytes, found, ctx);
	json_decref(root);
	return good;
}

void adapter_read_prompt(const char *body, size_t length, char *ret_prompt, size_t size)
{
	json_t *root = read_body(body, length);
	const char *prompt = json_string_value(json_object_get(root, "prompt_id"));

	ret_prompt[0] = '\0';
	if (prompt && strlen(prompt) < size)
		memcpy(ret_prompt, prompt, strlen(prompt) + 1);
	json_decref(root);
}

bool adapter_read_history(const char *body, size_t length, const char *prompt)
{
	json_t *root = read_body(body, length);
	bool known = json_is_object(json_object_get(root, prompt));

	json_decref(root);
	return known;
}

int adapter_read_progress(const char *body, size_t length, const char *prompt)
{
	json_t *root = read_body(body, length);
	const json_t *count = json_object_get(json_object_get(root, "state"), "job_count");
	int busy = json_is_integer(count) ? json_integer_value(count) > 0 : -1;
	(void)prompt;

	json_decref(root);
	return busy;
}

/* {"cuda":{"reserved":{"current":..}}}; without a card {"cuda":{"error":..}}. */
bool adapter_read_a1111(const char *body, size_t length, adapter_found *found, void *ctx)
{
	json_t *root = read_body(body, length);
	const json_t *cuda = json_object_get(root, "cuda");
	const json_t *reserved = json_object_get(cuda, "reserved");
	const json_t *current = json_object_get(reserved, "current");
	bool good = json_is_integer(current) || json_object_get(cuda, "error");

	tell_reserved(whole_of(current), found, ctx);
	json_decref(root);
	return good;
}
