/* discover: the model servers that answer on this machine's loopback, as lines of the
 * configuration. It asks nobody else, writes nothing, and runs only when somebody calls it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/clean_text.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/discover/recognise.h"

enum { ASK_MS = 1500, PORTS_MAX = 32, MODELS_SHOWN = 6, NAME_BYTES = 128, LABEL_BYTES = 32 };

/* Where the servers' own documents say that they listen. */
static const uint16_t default_ports[] = {
	11434, /* Ollama */
	8080,  /* llama-server, llama-swap, LocalAI, whisper.cpp */
	9931,  /* llama-server since 2026 */
	8000,  /* vLLM */
	30000, /* SGLang */
	1234,  /* LM Studio */
	5001,  /* KoboldCpp */
	5000,  /* TabbyAPI, text-generation-webui */
	13305, /* Lemonade */
	12434, /* Docker Model Runner */
	8188,  /* ComfyUI */
	7860,  /* A1111, Forge */
};

struct discover_options {
	bool json;
};

static const struct option_spec option_specs[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: what was found",
	 .offset = offsetof(struct discover_options, json)},
};

struct found {
	unsigned port;
	char name[LABEL_BYTES];
	struct recognised server;
};

/* Returns how many there are; 0: `words` has one that is none. */
static size_t take_ports(char **words, int count, uint16_t *ret_ports)
{
	size_t taken = 0;

	for (int i = 0; i < count; i++) {
		char *end;
		unsigned long port = strtoul(words[i], &end, 10);
		if (*end || end == words[i] || port < 1 || port > UINT16_MAX || taken == PORTS_MAX)
			return 0;
		ret_ports[taken++] = (uint16_t)port;
	}
	if (count > 0)
		return taken;
	memcpy(ret_ports, default_ports, sizeof(default_ports));
	return sizeof(default_ports) / sizeof(*default_ports);
}

/* A second one of a kind is NAME-2: names are used once in a configuration. */
static void name_it(struct found *all, size_t count)
{
	struct found *last = &all[count];
	unsigned number = 1;

	for (size_t i = 0; i < count; i++)
		if (!strcmp(all[i].server.name, last->server.name))
			number++;
	if (number == 1)
		snprintf(last->name, sizeof(last->name), "%s", last->server.name);
	else
		snprintf(last->name, sizeof(last->name), "%s-%u", last->server.name, number);
}

static void print_models(const struct recognised *server)
{
	size_t count = json_array_size(server->models);

	if (count == 0)
		return;
	printf("    # serves");
	for (size_t i = 0; i < count && i < MODELS_SHOWN; i++) {
		const char *id = json_string_value(
			json_object_get(json_array_get(server->models, i), server->model_key));
		char shown[NAME_BYTES];

		printf("%s %s", i ? "," : "",
		       clean_text(shown, sizeof(shown), id ? id : "?", true));
	}
	if (count > MODELS_SHOWN)
		printf(", and %zu more", count - MODELS_SHOWN);
	putchar('\n');
}

static void print_lines(const struct found *found)
{
	const struct recognised *server = &found->server;

	printf("  - name: %s                # %s\n", found->name, server->product);
	printf("    kind: %s\n    url: http://127.0.0.1:%u\n", server->kind, found->port);
	if (server->wants_key)
		printf("    # key_file: /path/of/a/file/with/its/key\n");
	if (server->has_pages)
		printf("    listen: 127.0.0.1:%u     # its pages, from now on\n"
		       "    vram_mb:                 # what its largest model needs, in MiB: fill "
		       "it "
		       "in\n",
		       found->port < 65535 ? found->port + 1U : 0U);
	else if (server->names_none)
		printf("    models:                  # what programs call it, and needs, in MiB\n"
		       "      - {name: whisper-1, vram_mb: 2000}\n");
	else if (!server->sizes_itself)
		printf("    # vram_mb: what its largest model needs, in MiB; without it, it is "
		       "refused\n");
	print_models(server);
}

static void print_yaml(const struct found *all, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i == 0)
			puts("upstreams:");
		print_lines(&all[i]);
	}
}

static void print_json(const struct found *all, size_t count)
{
	json_t *rows = json_array(), *answer = json_pack("{s:o}", "servers", rows);

	for (size_t i = 0; i < count; i++) {
		const struct recognised *server = &all[i].server;
		json_t *models = json_array(), *row;
		char url[64];
		size_t at;
		json_t *model;

		json_array_foreach (server->models, at, model)
			json_array_append(models, json_object_get(model, server->model_key));
		snprintf(url, sizeof(url), "http://127.0.0.1:%u", all[i].port);
		row = json_pack("{s:s, s:s, s:s?, s:s, s:b, s:o}", "name", all[i].name, "product",
				server->product, "kind", server->kind, "url", url, "wants_key",
				server->wants_key, "models", models);
		json_array_append_new(rows, row);
	}
	json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(answer);
}

static size_t look_at_ports(const uint16_t *ports, size_t port_count, struct ask *asks,
			    struct found *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < port_count; i++)
		for (size_t path = 0; path < RECOGNISE_COUNT; path++)
			asks[i * RECOGNISE_COUNT + path] =
				(struct ask){.port = ports[i], .path = recognise_paths[path]};
	ask_all(asks, port_count * RECOGNISE_COUNT, ASK_MS);

	for (size_t i = 0; i < port_count; i++) {
		if (!recognise(&asks[i * RECOGNISE_COUNT], &ret[count].server))
			continue;
		ret[count].port = ports[i];
		name_it(ret, count);
		count++;
	}
	return count;
}

static int run_discover(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct discover_options options = {0};
	uint16_t ports[PORTS_MAX];
	struct found found[PORTS_MAX];
	struct ask asks[PORTS_MAX * RECOGNISE_COUNT];
	size_t port_count, count;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	port_count = take_ports(argv + 1, argc - 1, ports);
	if (port_count == 0)
		return cli_fail(command, EX_USAGE, "expected ports, 1 to 65535, at most %d",
				PORTS_MAX);

	count = look_at_ports(ports, port_count, asks, found);
	if (options.json)
		print_json(found, count);
	else
		print_yaml(found, count);
	for (size_t i = 0; i < port_count * RECOGNISE_COUNT; i++) {
		json_decref(asks[i].json);
		free(asks[i].text);
	}

	if (count > 0 || options.json)
		return 0;
	return cli_fail(command, EX_UNAVAILABLE,
			"no model server answers on the %zu port%s asked; name others: baton "
			"discover PORT",
			port_count, port_count == 1 ? "" : "s");
}

const struct command command_discover = {
	.name = "discover",
	.summary = "Find model servers on this machine, and print them as configuration.",
	.usage = "[--json] [PORT...]",
	.details =
		"Asks 127.0.0.1 on the default ports of Ollama, llama-server, llama-swap, vLLM,\n"
		"SGLang, LM Studio, LocalAI, Lemonade, KoboldCpp, TabbyAPI, whisper.cpp, ComfyUI\n"
		"and A1111, or on the ports given, which it is by what it answers. Changes "
		"nothing.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_WORDS,
	.run = run_discover,
};
