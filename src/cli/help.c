/* help: the text of `baton COMMAND --help`, or the list of commands. */
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/command.h"

static int run_help(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	char nothing;
	int rc = cli_parse(cli, command, &argc, argv, &nothing);
	if (rc >= 0)
		return rc;

	if (argc == 1) {
		cli_print_overview(cli, stdout);
		return 0;
	}

	const struct command *about = cli_find(cli->commands, cli->command_count, argv[1]);
	if (!about)
		return cli_unknown_command(cli, argv[1]);
	/* Some commands print their own. */
	char *words[] = {argv[1], (char *)"--help", NULL};
	return about->run(cli, about, 2, words);
}

const struct command command_help = {
	.name = "help",
	.summary = "Explain a command.",
	.usage = "[COMMAND]",
	.arguments = ARGUMENTS_COMMAND_NAME,
	.run = run_help,
};
