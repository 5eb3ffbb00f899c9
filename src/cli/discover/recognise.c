/* recognise: by answers that no other kind gives; some kinds imitate others, so the imitators come
 * first. What is only an OpenAI server comes last. */
#include "cli/discover/recognise.h"

#include <string.h>

const char *const recognise_paths[RECOGNISE_COUNT] = {
	[RECOGNISE_KOBOLD] = "/api/extra/version",
	[RECOGNISE_COMFY] = "/system_stats",
	[RECOGNISE_A1111] = "/sdapi/v1/memory",
	[RECOGNISE_RUNNING] = "/running",
	[RECOGNISE_SLEEPING] = "/is_sleeping",
	[RECOGNISE_ROUTER] = "/models",
	[RECOGNISE_PROPS] = "/props",
	[RECOGNISE_LMSTUDIO] = "/api/v1/models",
	[RECOGNISE_LOCALAI] = "/system",
	[RECOGNISE_LEMONADE] = "/v1/health",
	[RECOGNISE_HEALTH] = "/health",
	[RECOGNISE_PAGE] = "/",
	[RECOGNISE_PS] = "/api/ps",
	[RECOGNISE_TAGS] = "/api/tags",
	[RECOGNISE_MODELS] = "/v1/models",
};

/* The member of a good answer, or NULL. */
static const json_t *answer_member(const struct ask *answers, enum recognise_path path,
				   const char *key)
{
	return answers[path].status == 200 ? json_object_get(answers[path].json, key) : NULL;
}

static const char *owner_of_models(const struct ask *answers)
{
	const json_t *first = json_array_get(answer_member(answers, RECOGNISE_MODELS, "data"), 0);
	const char *owner = json_string_value(json_object_get(first, "owned_by"));

	return owner ? owner : "";
}

static bool is_kobold(const struct ask *answers)
{
	const char *result = json_string_value(answer_member(answers, RECOGNISE_KOBOLD, "result"));

	return result && !strcmp(result, "KoboldCpp");
}

enum { KOBOLD_NO_ADMIN, KOBOLD_OPEN, KOBOLD_PASSWORD };

static json_int_t kobold_admin(const struct ask *answers)
{
	return json_integer_value(answer_member(answers, RECOGNISE_KOBOLD, "admin"));
}

/* Only then it can be told to load and to unload. */
static bool is_kobold_with_admin(const struct ask *answers)
{
	return is_kobold(answers) && kobold_admin(answers) > KOBOLD_NO_ADMIN;
}

static bool is_comfy(const struct ask *answers)
{
	return json_is_object(answer_member(answers, RECOGNISE_COMFY, "system")) &&
	       json_is_array(answer_member(answers, RECOGNISE_COMFY, "devices"));
}

static bool is_a1111(const struct ask *answers)
{
	return json_is_object(answer_member(answers, RECOGNISE_A1111, "ram"));
}

static bool is_llama_swap(const struct ask *answers)
{
	return json_is_array(answer_member(answers, RECOGNISE_RUNNING, "running"));
}

static bool is_vllm_sleep(const struct ask *answers)
{
	return json_is_boolean(answer_member(answers, RECOGNISE_SLEEPING, "is_sleeping"));
}

static bool is_llama_router(const struct ask *answers)
{
	const json_t *first = json_array_get(answer_member(answers, RECOGNISE_ROUTER, "data"), 0);

	return json_is_string(json_object_get(json_object_get(first, "status"), "value"));
}

static bool is_llama_server(const struct ask *answers)
{
	return json_is_object(
		answer_member(answers, RECOGNISE_PROPS, "default_generation_settings"));
}

static bool is_ollama(const struct ask *answers)
{
	return json_is_array(answer_member(answers, RECOGNISE_PS, "models")) &&
	       json_is_array(answer_member(answers, RECOGNISE_TAGS, "models"));
}

static bool is_openai(const struct ask *answers)
{
	return json_is_array(answer_member(answers, RECOGNISE_MODELS, "data"));
}

static bool is_vllm(const struct ask *answers)
{
	return is_openai(answers) && !strcmp(owner_of_models(answers), "vllm");
}

static bool is_sglang(const struct ask *answers)
{
	return is_openai(answers) && !strcmp(owner_of_models(answers), "sglang");
}

static bool is_refused(const struct ask *models)
{
	return models->status == 401 || models->status == 403;
}

/* Its list wants a key, unless it was told to want none. */
static bool is_tabby(const struct ask *answers)
{
	bool health = json_is_array(answer_member(answers, RECOGNISE_HEALTH, "issues"));

	return !strcmp(owner_of_models(answers), "tabbyAPI") ||
	       (health && is_refused(&answers[RECOGNISE_MODELS]));
}

/* By its page, which says what it is; its list of models is none. */
static bool is_whisper(const struct ask *answers)
{
	const char *page = answers[RECOGNISE_PAGE].text;
	const char *status = json_string_value(answer_member(answers, RECOGNISE_HEALTH, "status"));

	return page && strstr(page, "Whisper.cpp Server") && status && !strcmp(status, "ok");
}

/* Since 0.4; the ones before cannot be told to unload. */
static bool is_lmstudio(const struct ask *answers)
{
	const json_t *first =
		json_array_get(answer_member(answers, RECOGNISE_LMSTUDIO, "models"), 0);

	return json_is_array(json_object_get(first, "loaded_instances"));
}

static bool is_old_lmstudio(const struct ask *answers)
{
	return is_openai(answers) && !strcmp(owner_of_models(answers), "organization_owner");
}

static bool is_localai(const struct ask *answers)
{
	return json_is_array(answer_member(answers, RECOGNISE_LOCALAI, "loaded_models"));
}

static bool is_lemonade(const struct ask *answers)
{
	return json_is_array(answer_member(answers, RECOGNISE_LEMONADE, "all_models_loaded"));
}

/* It says so in JSON, and not as Baton does, whose own list needs a key as well. */
static bool is_locked(const struct ask *answers)
{
	const struct ask *models = &answers[RECOGNISE_MODELS];

	return is_refused(models) && json_is_object(models->json) &&
	       !json_object_get(models->json, "msg");
}

bool recognise(const struct ask *answers, struct recognised *ret)
{
	static const struct {
		bool (*fits)(const struct ask *answers);
		const char *product, *kind, *name;
		enum recognise_path list;
	} rows[] = {
		{is_kobold_with_admin, "KoboldCpp", "koboldcpp", "koboldcpp", RECOGNISE_COUNT},
		{is_kobold, "KoboldCpp without --admin", "openai", "koboldcpp", RECOGNISE_MODELS},
		{is_comfy, "ComfyUI", "comfyui", "comfyui", RECOGNISE_COUNT},
		{is_a1111, "Stable Diffusion web UI (A1111 or Forge)", "a1111", "a1111",
		 RECOGNISE_COUNT},
		{is_llama_swap, "llama-swap", "llama-swap", "llama-swap", RECOGNISE_MODELS},
		{is_vllm_sleep, "vLLM with sleep mode", "vllm-sleep", "vllm", RECOGNISE_MODELS},
		{is_llama_router, "llama-server as a router", "llama-router", "llama",
		 RECOGNISE_ROUTER},
		{is_lmstudio, "LM Studio", "lmstudio", "lmstudio", RECOGNISE_MODELS},
		{is_localai, "LocalAI", "localai", "localai", RECOGNISE_MODELS},
		{is_lemonade, "Lemonade", "lemonade", "lemonade", RECOGNISE_MODELS},
		{is_tabby, "TabbyAPI", "tabbyapi", "tabbyapi", RECOGNISE_MODELS},
		{is_whisper, "whisper.cpp's server", "whisper.cpp", "whisper", RECOGNISE_COUNT},
		{is_llama_server, "llama-server", "llama-server", "llama", RECOGNISE_MODELS},
		{is_ollama, "Ollama", "ollama", "ollama", RECOGNISE_TAGS},
		{is_vllm, "vLLM without sleep mode", "openai", "vllm", RECOGNISE_MODELS},
		{is_sglang, "SGLang", "sglang", "sglang", RECOGNISE_MODELS},
		{is_old_lmstudio, "LM Studio before 0.4", "openai", "lmstudio", RECOGNISE_MODELS},
		{is_openai, "a server with OpenAI's API", "openai", "openai", RECOGNISE_MODELS},
		{is_locked, "a server that wants a key", "openai", "openai", RECOGNISE_COUNT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!rows[i].fits(answers))
			continue;
		bool tags = rows[i].list == RECOGNISE_TAGS;
		*ret = (struct recognised){
			.product = rows[i].product,
			.kind = rows[i].kind,
			.name = rows[i].name,
			.sizes_itself = rows[i].fits == is_ollama,
			.has_pages = rows[i].fits == is_comfy || rows[i].fits == is_a1111,
			.names_none = rows[i].fits == is_whisper,
			.wants_key = is_refused(&answers[RECOGNISE_MODELS]) ||
				     (rows[i].fits == is_kobold_with_admin &&
				      kobold_admin(answers) == KOBOLD_PASSWORD),
			.models = rows[i].list == RECOGNISE_COUNT
					  ? NULL
					  : answer_member(answers, rows[i].list,
							  tags ? "models" : "data"),
			.model_key = tags ? "name" : "id",
		};
		return true;
	}
	return false;
}
