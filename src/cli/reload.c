/* reload: makes the broker read its configuration again and prints the outcome. */
#include <string.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/http_client.h"

struct reload_options {
	bool json;
};

static const struct option_spec option_specs[] = {
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: {changed, needs_restart}",
	 .offset = offsetof(struct reload_options, json)},
};

/* Prints "changed: classes, timing", or nothing for an empty list. */
static size_t print_words(const char *title, const json_t *words)
{
	size_t i;
	json_t *word;
	if (json_array_size(words) == 0)
		return 0;

	fputs(title, stdout);
	json_array_foreach (words, i, word)
		printf("%s%s", i ? ", " : " ", json_string_value(word));
	putchar('\n');
	return json_array_size(words);
}

static int run_reload(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct reload_options options = {0};
	json_t *answer;
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	rc = http_client_call(command, "POST", "/v1/hot-reload", "{}", &answer);
	if (rc > 0)
		return rc;

	if (options.json) {
		json_dumpf(answer, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else {
		size_t said = print_words("changed:", json_object_get(answer, "changed"));
		said += print_words("changes only with a restart:",
				    json_object_get(answer, "needs_restart"));
		if (said == 0)
			puts("read again; nothing changed since it was last read");
	}
	json_decref(answer);
	return 0;
}

const struct command command_reload = {
	.name = "reload",
	.summary = "Read the broker's configuration again.",
	.usage = "[--json]",
	.details = "A file with a mistake is refused whole, with its line, and nothing changes.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_NONE,
	.run = run_reload,
};
