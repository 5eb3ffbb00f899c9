/* connect, disconnect: what to set in a program so that its requests go through Baton, and what to
 * take back. Text only: nobody's settings are changed. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "baton/baton.h"
#include "cli/cli.h"
#include "cli/command.h"

enum { URL_BYTES = 512 };

/* `@` stands for the broker's address. */
static const struct program {
	const char *name, *connect, *disconnect;
} programs[] = {
	{"openai",
	 "# Programs that use OpenAI's libraries:\n"
	 "export OPENAI_BASE_URL=@/v1\n"
	 "export OPENAI_API_KEY=\"$KEY\"\n",
	 "unset OPENAI_BASE_URL OPENAI_API_KEY\n"},
	{"anthropic",
	 "# Programs that use Anthropic's libraries, which show a key of Anthropic's beside it, "
	 "or\n"
	 "# in its place, if there is one:\n"
	 "export ANTHROPIC_BASE_URL=@\n"
	 "export ANTHROPIC_AUTH_TOKEN=\"$KEY\"\n"
	 "unset ANTHROPIC_API_KEY\n",
	 "unset ANTHROPIC_BASE_URL ANTHROPIC_AUTH_TOKEN\n"
	 "# and ANTHROPIC_API_KEY as it was\n"},
	{"ollama",
	 "# Programs that use Ollama's libraries, which take headers. The command `ollama` takes\n"
	 "# none, so it can show no key: use it for pulling models only.\n"
	 "#   Python:     ollama.Client(host=\"@\", headers={\"Authorization\": f\"Bearer "
	 "{key}\"})\n"
	 "#   JavaScript: new Ollama({host: \"@\", headers: {Authorization: `Bearer ${key}`}})\n"
	 "# Leave OLLAMA_HOST at the server itself: Baton's `upstreams` name it, too.\n",
	 "#   Python:     ollama.Client()\n"
	 "#   JavaScript: new Ollama()\n"},
	{"open-webui",
	 "# Open WebUI: these, before its first start; later under Admin Panel, Settings,\n"
	 "# Connections, where the Ollama connection is switched off. In a container the loopback\n"
	 "# is its own: run it with --network=host.\n"
	 "export OPENAI_API_BASE_URL=@/v1\n"
	 "export OPENAI_API_KEY=\"$KEY\"\n"
	 "export ENABLE_OLLAMA_API=False\n",
	 "# Open WebUI: the same names, or Admin Panel, Settings, Connections.\n"
	 "unset OPENAI_API_BASE_URL OPENAI_API_KEY ENABLE_OLLAMA_API\n"},
	{"comfyui",
	 "# ComfyUI stays as it is; Baton stands before its pages. In Baton's configuration:\n"
	 "upstreams:\n"
	 "  - name: comfyui\n"
	 "    kind: comfyui\n"
	 "    url: http://127.0.0.1:8188\n"
	 "    listen: 127.0.0.1:8189\n"
	 "    vram_mb: 12000    # what it needs when the largest of its models is loaded\n"
	 "# then: baton reload. Open http://127.0.0.1:8189 in place of port 8188.\n"
	 "# Nodes of it that ask a language model go through the gateway:\n"
	 "#   base URL @/v1, key: the content of $KEY\n",
	 "# Take comfyui out of `upstreams`, then: baton reload. Open http://127.0.0.1:8188 "
	 "again.\n"
	 "# Its nodes get the base URL that they had.\n"},
	{"llama-swap",
	 "# llama-swap stays as it is; Baton stands before it. In Baton's configuration:\n"
	 "upstreams:\n"
	 "  - name: llama-swap\n"
	 "    kind: llama-swap\n"
	 "    url: http://127.0.0.1:8080\n"
	 "    # vram_mb: what its largest model needs, in MiB\n"
	 "# then: baton reload. Its clients are pointed at @/v1 with the key $KEY.\n",
	 "# Take llama-swap out of `upstreams`, then: baton reload. Its clients are pointed at\n"
	 "# http://127.0.0.1:8080/v1 again.\n"},
	{"claude-code",
	 "# MODEL is one that `baton models` lists.\n"
	 "export ANTHROPIC_BASE_URL=@\n"
	 "export ANTHROPIC_AUTH_TOKEN=\"$KEY\"\n"
	 "unset ANTHROPIC_API_KEY # it would count before\n"
	 "export ANTHROPIC_MODEL=MODEL\n"
	 "# What it asks in the background, and its subagents, have models of their own:\n"
	 "export ANTHROPIC_DEFAULT_OPUS_MODEL=\"$ANTHROPIC_MODEL\"\n"
	 "export ANTHROPIC_DEFAULT_SONNET_MODEL=\"$ANTHROPIC_MODEL\"\n"
	 "export ANTHROPIC_DEFAULT_HAIKU_MODEL=\"$ANTHROPIC_MODEL\"\n",
	 "unset ANTHROPIC_BASE_URL ANTHROPIC_AUTH_TOKEN ANTHROPIC_MODEL\n"
	 "unset ANTHROPIC_DEFAULT_OPUS_MODEL ANTHROPIC_DEFAULT_SONNET_MODEL\n"
	 "unset ANTHROPIC_DEFAULT_HAIKU_MODEL\n"
	 "# and ANTHROPIC_API_KEY as it was\n"},
	{"codex",
	 "export BATON_KEY=\"$KEY\"\n"
	 "# in ~/.codex/config.toml, the first two lines before any [..], the others at its end;\n"
	 "# MODEL is one that `baton models` lists:\n"
	 "model = \"MODEL\"\n"
	 "model_provider = \"baton\"\n"
	 "\n"
	 "[model_providers.baton]\n"
	 "name = \"Baton\"\n"
	 "base_url = \"@/v1\"\n"
	 "env_key = \"BATON_KEY\"\n"
	 "wire_api = \"responses\"\n",
	 "unset BATON_KEY\n"
	 "# in ~/.codex/config.toml: take out model, model_provider, [model_providers.baton]\n"},
	{"aider",
	 "export OPENAI_API_BASE=@/v1\n"
	 "export OPENAI_API_KEY=\"$KEY\"\n"
	 "# MODEL is one that `baton models` lists:\n"
	 "aider --model openai/MODEL\n",
	 "unset OPENAI_API_BASE OPENAI_API_KEY\n"},
};

enum { PROGRAM_COUNT = sizeof(programs) / sizeof(*programs) };

static const struct program *find_program(const char *name)
{
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		if (!strcmp(programs[i].name, name))
			return &programs[i];
	return NULL;
}

static int list_programs(void)
{
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		puts(programs[i].name);
	return 0;
}

static int unknown_program(const struct command *command, const char *name)
{
	const char *names[PROGRAM_COUNT], *near;

	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		names[i] = programs[i].name;
	near = cli_nearest(name, names, PROGRAM_COUNT);
	return cli_fail(command, EX_USAGE, "no text for '%.60s'%s%s; baton %s lists them", name,
			near ? ", did you mean " : "", near ? near : "", command->name);
}

/* "http://HOST:PORT" of the broker that runs; else the default, false. */
static bool find_address(char ret_url[URL_BYTES])
{
	struct baton *baton;
	int rc = baton_connect(NULL, &baton);

	if (rc == 0) {
		rc = baton_page_link(baton, ret_url, URL_BYTES);
		baton_close(baton);
	}
	if (rc == 0 && !strncmp(ret_url, "http", 4) && strstr(ret_url, "://")) {
		char *host = strstr(ret_url, "://") + 3;
		host[strcspn(host, "/?#")] = '\0';
		return true;
	}
	snprintf(ret_url, URL_BYTES, "http://127.0.0.1:8470");
	return false;
}

static void print_filled(const char *text, const char *url)
{
	for (; *text; text++)
		if (*text == '@')
			fputs(url, stdout);
		else
			putchar(*text);
}

/* -1 with the program that is named, else the exit status: the list of them, or that there is none.
 */
static int take_program(const struct cli *cli, const struct command *command, int argc, char **argv,
			const struct program **ret_program)
{
	int rc = cli_parse(cli, command, &argc, argv, NULL);
	if (rc >= 0)
		return rc;
	if (argc < 2)
		return list_programs();

	*ret_program = find_program(argv[1]);
	return *ret_program && argc == 2 ? -1 : unknown_program(command, argv[argc - 1]);
}

static int run_connect(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	const struct program *program = NULL;
	char url[URL_BYTES];
	int rc = take_program(cli, command, argc, argv, &program);
	if (rc >= 0)
		return rc;

	if (!find_address(url))
		fprintf(stderr, "baton: no broker runs here; this is for its default address\n");
	if (strstr(program->connect, "$KEY"))
		puts("# The install token, or a key of its own, which is told once: baton keys new "
		     "NAME\n"
		     "KEY=$(cat \"${XDG_STATE_HOME:-$HOME/.local/state}/baton/token\")");
	print_filled(program->connect, url);
	return 0;
}

static int run_disconnect(const struct cli *cli, const struct command *command, int argc,
			  char **argv)
{
	const struct program *program = NULL;
	int rc = take_program(cli, command, argc, argv, &program);
	if (rc >= 0)
		return rc;
	fputs(program->disconnect, stdout);
	return 0;
}

const struct command command_connect = {
	.name = "connect",
	.summary = "Print what to set in a program so that its requests go through Baton.",
	.usage = "[NAME]",
	.details = "Changes nothing. Without a name it lists those it has a text for.",
	.arguments = ARGUMENTS_WORDS,
	.run = run_connect,
};

const struct command command_disconnect = {
	.name = "disconnect",
	.summary = "Print what to set back.",
	.usage = "[NAME]",
	.arguments = ARGUMENTS_WORDS,
	.run = run_disconnect,
};
