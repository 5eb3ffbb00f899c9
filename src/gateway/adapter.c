/* adapter: the table of kinds. */
#include "gateway/adapter.h"

#include <string.h>

#include "gateway/adapter_read.h"

static const struct adapter adapters[] = {
	{.kind = "ollama",
	 .list = {"GET", "/api/tags", NULL},
	 .loaded = {"GET", "/api/ps", NULL},
	 .load = {"POST", "/api/generate", "{\"model\":%s,\"keep_alive\":-1,\"stream\":false}"},
	 .unload = {"POST", "/api/generate", "{\"model\":%s,\"keep_alive\":0,\"stream\":false}"},
	 .tag = ":latest",
	 .sizes_itself = true,
	 .read_list = adapter_read_ollama,
	 .read_loaded = adapter_read_ollama},
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
	{.kind = "openai", .list = {"GET", "/v1/models", NULL}, .read_list = adapter_read_openai},
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

static bool is_tagged(const char *longer, const char *name, const char *tag)
{
	size_t length = strlen(name);

	return !strncmp(longer, name, length) && !strcmp(longer + length, tag);
}

bool adapter_same_model(const struct adapter *adapter, const char *a, const char *b)
{
	if (!strcmp(a, b))
		return true;
	return adapter->tag && (is_tagged(a, b, adapter->tag) || is_tagged(b, a, adapter->tag));
}

/* The pattern, with what `add` makes of the model in its place. */
static void fill_place(struct text *out, const char *pattern, const char *model,
		       void (*add)(struct text *out, const char *model))
{
	const char *place = strstr(pattern, "%s");

	if (!place) {
		text_str(out, pattern);
		return;
	}
	text_add(out, pattern, (size_t)(place - pattern));
	add(out, model);
	text_str(out, place + 2);
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
