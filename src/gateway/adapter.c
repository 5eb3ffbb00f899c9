/* adapter: the table of kinds. */
#include "gateway/adapter.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "gateway/adapter_read.h"
#include "json/json_writer.h"

static const char *const ollama_tags[] = {":latest", NULL};
static const char *const ollama_prefixes[] = {"registry.ollama.ai/", "library/", NULL};

/* It lists files, and calls what it has loaded by the model's name without its ending. */
static const char *const koboldcpp_tags[] = {".kcpps", ".kcppt", ".gguf", NULL};
static const char *const koboldcpp_prefixes[] = {"koboldcpp/", NULL};

static const char *const comfyui_turns[] = {"POST /prompt", "POST /api/prompt", NULL};

/* Gradio 3 has a WebSocket for each event that its queue runs, Gradio 4 a request. */
static const char *const a1111_turns[] = {
	"POST /sdapi/v1/txt2img",
	"POST /sdapi/v1/img2img",
	"POST /sdapi/v1/extra-single-image",
	"POST /sdapi/v1/extra-batch-images",
	"POST /sdapi/v1/interrogate",
	"POST /sdapi/v1/create/*",
	"POST /sdapi/v1/train/*",
	"WEBSOCKET /queue/join",
	"POST /queue/join",
	NULL,
};

static const struct adapter adapters[] = {
	{.kind = "ollama",
	 .list = {"GET", "/api/tags", NULL},
	 .loaded = {"GET", "/api/ps", NULL},
	 .load = {"POST", "/api/generate", "{\"model\":%s,\"keep_alive\":-1,\"stream\":false}"},
	 .unload = {"POST", "/api/generate", "{\"model\":%s,\"keep_alive\":0,\"stream\":false}"},
	 .tags = ollama_tags,
	 .prefixes = ollama_prefixes,
	 .sizes_itself = true,
	 .read_list = adapter_read_ollama,
	 .read_loaded = adapter_read_ollama_loaded},
	/* One model, for the life of its process. */
	{.kind = "llama-server",
	 .list = {"GET", "/v1/models", NULL},
	 .busy = {"GET", "/slots", NULL},
	 .read_list = adapter_read_openai,
	 .read_busy = adapter_read_slots},
	{.kind = "llama-router",
	 .list = {"GET", "/models", NULL},
	 .loaded = {"GET", "/models", NULL},
	 .load = {"POST", "/models/load", "{\"model\":%s}"},
	 .unload = {"POST", "/models/unload", "{\"model\":%s}"},
	 .read_list = adapter_read_openai,
	 .read_loaded = adapter_read_router},
	{.kind = "llama-swap",
	 .list = {"GET", "/v1/models", NULL},
	 .loaded = {"GET", "/running", NULL},
	 .unload = {"POST", "/api/models/unload/%s", NULL},
	 .read_list = adapter_read_openai,
	 .read_loaded = adapter_read_swap},
	/* With --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1. */
	{.kind = "vllm-sleep",
	 .list = {"GET", "/v1/models", NULL},
	 .load = {"POST", "/wake_up", NULL},
	 .unload = {"POST", "/sleep?level=1", NULL},
	 .read_list = adapter_read_openai},
	/* Its runtime loads a second one where it is told to load what it has: requests load. */
	{.kind = "lmstudio",
	 .list = {"GET", "/v1/models", NULL},
	 .loaded = {"GET", "/api/v1/models", NULL},
	 .unload = {"POST", "/api/v1/models/unload", "{\"instance_id\":%s}"},
	 .read_list = adapter_read_openai,
	 .read_loaded = adapter_read_lmstudio},
	{.kind = "localai",
	 .list = {"GET", "/v1/models", NULL},
	 .loaded = {"GET", "/system", NULL},
	 .unload = {"POST", "/backend/shutdown", "{\"model\":%s}"},
	 .read_list = adapter_read_openai,
	 .read_loaded = adapter_read_localai},
	{.kind = "lemonade",
	 .list = {"GET", "/v1/models", NULL},
	 .loaded = {"GET", "/v1/health", NULL},
	 .unload = {"POST", "/v1/unload", "{\"model_name\":%s}"},
	 .read_list = adapter_read_openai,
	 .read_loaded = adapter_read_lemonade},
	/* With --admin, --admindir and --adminpassword. */
	{.kind = "koboldcpp",
	 .list = {"GET", "/api/admin/list_options", NULL},
	 .loaded = {"GET", "/api/v1/model", NULL},
	 .load = {"POST", "/api/admin/reload_config", "{\"filename\":%s}"},
	 .unload = {"POST", "/api/admin/reload_config", "{\"filename\":\"unload_model\"}"},
	 .tags = koboldcpp_tags,
	 .prefixes = koboldcpp_prefixes,
	 .says_words = true,
	 .single = true,
	 .restarts = true,
	 .read_list = adapter_read_kobold_files,
	 .read_loaded = adapter_read_kobold,
	 .read_done = adapter_read_success},
	/* Its unload cuts off what runs. Which of the two names a load has depends on the version.
	 */
	{.kind = "tabbyapi",
	 .list = {"GET", "/v1/model/list", NULL},
	 .loaded = {"GET", "/v1/model", NULL},
	 .load = {"POST", "/v1/model/load", "{\"model_name\":%s,\"name\":%s}"},
	 .unload = {"POST", "/v1/model/unload", NULL},
	 .single = true,
	 .read_list = adapter_read_openai,
	 .read_loaded = adapter_read_tabby,
	 .read_none = adapter_read_tabby_none},
	/* Its /release_memory_occupation ends it while anything runs, /resume_memory_occupation
	 * where nothing was released, and nothing says which of the two is so: not called. */
	{.kind = "sglang",
	 .list = {"GET", "/v1/models", NULL},
	 .ready = "/health",
	 .read_list = adapter_read_openai},
	/* One model, which it does not name. A /load that fails ends it: not called. */
	{.kind = "whisper.cpp",
	 .list = {"GET", "/health", NULL},
	 .transcribes = "/inference",
	 .read_list = adapter_read_health},
	{.kind = "openai", .list = {"GET", "/v1/models", NULL}, .read_list = adapter_read_openai},
	/* /free only sets flags, which count once it is idle; what it has is measured. */
	{.kind = "comfyui",
	 .loaded = {"GET", "/system_stats", NULL},
	 .unload = {"POST", "/free", "{\"unload_models\":true,\"free_memory\":true}"},
	 .busy = {"GET", "/queue", NULL},
	 .history = {"GET", "/history/%s", NULL},
	 .turns = comfyui_turns,
	 .stop = {"POST", "/interrupt", "{\"prompt_id\":%s}"},
	 .queues_prompts = true,
	 .wait_ms = (int64_t)24 * 3600 * 1000,
	 .read_loaded = adapter_read_comfyui,
	 .read_busy = adapter_read_queue},
	/* With --api. Where a checkpoint was unloaded, work without a reload gets stuck. */
	{.kind = "a1111",
	 .loaded = {"GET", "/sdapi/v1/memory", NULL},
	 .load = {"POST", "/sdapi/v1/reload-checkpoint", "{}"},
	 .unload = {"POST", "/sdapi/v1/unload-checkpoint", "{}"},
	 .busy = {"GET", "/sdapi/v1/progress?skip_current_image=true", NULL},
	 .turns = a1111_turns,
	 .stop = {"POST", "/sdapi/v1/interrupt", "{}"},
	 .read_loaded = adapter_read_a1111,
	 .read_busy = adapter_read_progress},
};

const struct adapter *adapter_table(unsigned *ret_count)
{
	*ret_count = sizeof(adapters) / sizeof(adapters[0]);
	return adapters;
}

const struct adapter *adapter_of(const char *kind)
{
	for (size_t i = 0; i < sizeof(adapters) / sizeof(adapters[0]); i++)
		if (!strcmp(adapters[i].kind, kind))
			return &adapters[i];
	return NULL;
}

/* A name without what it may leave out: of Ollama's its own registry and the namespace that is
 * there for all, and the tag that stands for none. */
static const char *short_name(const struct adapter *adapter, const char *name, size_t *ret_length)
{
	for (const char *const *prefix = adapter->prefixes; *prefix; prefix++)
		if (!strncasecmp(name, *prefix, strlen(*prefix)))
			name += strlen(*prefix);

	*ret_length = strlen(name);
	for (const char *const *tag = adapter->tags; *tag; tag++) {
		size_t length = strlen(*tag);
		if (*ret_length <= length || strcasecmp(name + *ret_length - length, *tag) != 0)
			continue;
		*ret_length -= length;
		break;
	}
	return name;
}

/* How many of these bytes such a server leaves out. */
static size_t unsaid_bytes(const struct adapter *adapter, const char *name, size_t length)
{
	size_t i = 0;

	while (adapter->says_words && i < length && (unsigned char)name[i] < 0x80 &&
	       !isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
		i++;
	return i;
}

static bool same_text(const struct adapter *adapter, const char *a, size_t a_length, const char *b,
		      size_t b_length)
{
	size_t i = 0, j = 0;

	for (;; i++, j++) {
		i += unsaid_bytes(adapter, a + i, a_length - i);
		j += unsaid_bytes(adapter, b + j, b_length - j);
		if (i == a_length || j == b_length)
			return i == a_length && j == b_length;
		if (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]))
			return false;
	}
}

bool adapter_same_model(const struct adapter *adapter, const char *a, const char *b)
{
	size_t a_length, b_length;

	if (adapter->turns)
		return true;
	if (!adapter->tags)
		return !strcmp(a, b);
	a = short_name(adapter, a, &a_length);
	b = short_name(adapter, b, &b_length);
	return same_text(adapter, a, a_length, b, b_length);
}

/* The pattern, with what `add` makes of the model in each of its places. */
static void fill_place(struct text *out, const char *pattern, const char *model,
		       void (*add)(struct text *out, const char *model))
{
	const char *place;

	while ((place = strstr(pattern, "%s"))) {
		text_add(out, pattern, (size_t)(place - pattern));
		add(out, model);
		pattern = place + 2;
	}
	text_str(out, pattern);
}

void adapter_fill_body(struct text *out, const char *pattern, const char *model)
{
	fill_place(out, pattern, model, text_json_string);
}

/* RFC 3986 2.3: all but the unreserved bytes are escaped. */
static void add_escaped(struct text *out, const char *model)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";

	for (; *model; model++) {
		if (strchr(plain, *model))
			text_char(out, *model);
		else
			text_format(out, "%%%02X", (unsigned)(unsigned char)*model);
	}
}

void adapter_fill_path(struct text *out, const char *pattern, const char *model)
{
	fill_place(out, pattern, model, add_escaped);
}
