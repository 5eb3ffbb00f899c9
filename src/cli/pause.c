/* pause, resume: whether anything new is granted. Holders continue and the queue stays; a restart
 * of the broker changes neither. */
#include <stdlib.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/cli.h"
#include "cli/command.h"

struct pause_options {
	bool json;
	const char *reason;
};

static const struct option_spec option_specs[] = {
	{.name = "reason",
	 .kind = OPTION_TEXT,
	 .argument = "WORDS",
	 .help = "shown to everybody and kept in the audit; may stand without --reason",
	 .offset = offsetof(struct pause_options, reason)},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "for programs: the broker's answer",
	 .offset = offsetof(struct pause_options, json)},
};

/* `baton pause new driver tonight` needs no quotes. */
static char *join_words(int argc, char **argv)
{
	size_t size = 1;
	for (int i = 1; i < argc; i++)
		size += strlen(argv[i]) + 1;

	char *words = calloc(1, size);
	if (!words)
		abort();

	size_t length = 0;
	for (int i = 1; i < argc; i++)
		length += (size_t)snprintf(words + length, size - length, "%s%s", i > 1 ? " " : "",
					   argv[i]);
	return words;
}

static int set_paused(const struct cli *cli, const struct command *command, int argc, char **argv,
		      const char *path, const char *done)
{
	struct pause_options options = {0};
	int rc = cli_parse(cli, command, &argc, argv, &options);
	if (rc >= 0)
		return rc;

	char *words = argc > 1 && !options.reason ? join_words(argc, argv) : NULL;
	rc = admin_post(command, path, words ? words : options.reason,
			&(struct admin_words){.done = done}, options.json);
	free(words);
	return rc;
}

static int run_pause(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	return set_paused(
		cli, command, argc, argv, "/v1/gpu/pause",
		"paused: nothing new is granted, holders go on; go on with: baton resume");
}

static int run_resume(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	return set_paused(cli, command, argc, argv, "/v1/gpu/resume", "resumed: grants go on");
}

const struct command command_pause = {
	.name = "pause",
	.summary = "Grant nothing new until `baton resume`.",
	.usage = "[REASON]",
	.details = "Holders go on and the queue stays, over a restart of the broker, too.",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_WORDS,
	.run = run_pause,
};

const struct command command_resume = {
	.name = "resume",
	.summary = "Grant again after `baton pause`.",
	.usage = "[REASON]",
	.options = option_specs,
	.option_count = sizeof(option_specs) / sizeof(*option_specs),
	.arguments = ARGUMENTS_WORDS,
	.run = run_resume,
};
