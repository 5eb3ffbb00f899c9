/* main: joins the client's and the server's commands into one table and runs one of them. */
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "config/options.h"
#include "replay/replay.h"
#include "server/inference/keeper.h"
#include "server/serve.h"

enum { COMMANDS_MAX = 64, SERVE_OPTIONS_MAX = 32 };

static int run_serve(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	(void)cli, (void)command;
	return serve_main(argc, argv);
}

/* Their tables, for completion; each parses its own words. */
static struct option_spec serve_options[SERVE_OPTIONS_MAX];

static size_t fill_serve_options(void)
{
	static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
	static const char *const modes[] = {"bridge", NULL};
	size_t count = 0;

	while (count < SERVE_OPTIONS_MAX) {
		struct option_spec *spec = &serve_options[count];
		if (!options_row(count, &spec->name, &spec->argument, &spec->help))
			break;
		spec->kind = spec->argument ? OPTION_TEXT : OPTION_FLAG;
		spec->choices = strcmp(spec->name, "log-level") == 0 ? levels
				: strcmp(spec->name, "compat") == 0  ? modes
								     : NULL;
		if (spec->choices)
			spec->kind = OPTION_CHOICE;
		count++;
	}
	return count;
}

static struct command command_serve = {
	.name = "serve",
	.summary = "Run the broker.",
	.usage = "[OPTION]...",
	.arguments = ARGUMENTS_RAW,
	.run = run_serve,
};

static int run_replay(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	(void)cli, (void)command;
	return replay_main(argc, argv);
}

static const char *const policies[] = {"baton", "predecessor", NULL};

static const struct option_spec replay_options[] = {
	{.name = "state", .kind = OPTION_TEXT, .argument = "DIR", .help = "a broker's past"},
	{.name = "config", .kind = OPTION_TEXT, .argument = "FILE", .help = "other rules"},
	{.name = "from", .kind = OPTION_TEXT, .argument = "TIME", .help = "only from then on"},
	{.name = "to", .kind = OPTION_TEXT, .argument = "TIME", .help = "only until then"},
	{.name = "policy",
	 .kind = OPTION_CHOICE,
	 .argument = "POLICY",
	 .help = "whose rules",
	 .choices = policies},
	{.name = "json", .help = "one JSON object"},
	{.name = "svg", .kind = OPTION_TEXT, .argument = "OUT", .help = "draw the timeline"},
};

static const struct command command_replay = {
	.name = "replay",
	.summary = "Run a recorded trace, or a broker's past, through the rules.",
	.usage = "FILE|--state DIR [OPTION]...",
	.options = replay_options,
	.option_count = sizeof(replay_options) / sizeof(*replay_options),
	.arguments = ARGUMENTS_RAW,
	.run = run_replay,
};

int main(int argc, char **argv)
{
	/* Without what runs at exit: LeakSanitizer's check stops the process, the SIGCONT that
	 * tells a keeper of its broker's end takes that back, and the check then waits for ever. */
	if (argc > 0 && strcmp(argv[0], KEEPER_NAME) == 0)
		_exit(keeper_main(argv));
	output_begin();
	const struct command *all[COMMANDS_MAX];
	size_t count = 0, client_count;
	const struct command *const *client = cli_commands(&client_count);
	command_serve.options = serve_options;
	command_serve.option_count = fill_serve_options();
	all[count++] = &command_serve;
	for (size_t i = 0; i < client_count && count < COMMANDS_MAX - 1; i++)
		all[count++] = client[i];
	all[count++] = &command_replay;
	setlocale(LC_CTYPE, "");
	return output_end(cli_main(all, count, argc, argv));
}
