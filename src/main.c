/* main: joins the client's and the server's commands into one table and runs one of them. */
#include <locale.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "server/replay.h"
#include "server/serve.h"

enum { COMMANDS_MAX = 64 };

static int run_serve(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	(void)cli, (void)command;
	return serve_main(argc, argv);
}

static const struct command command_serve = {
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

static const struct command command_replay = {
	.name = "replay",
	.summary = "Run a recorded trace through the broker's rules.",
	.usage = "FILE [OPTION]...",
	.arguments = ARGUMENTS_RAW,
	.run = run_replay,
};

int main(int argc, char **argv)
{
	output_begin();
	const struct command *all[COMMANDS_MAX];
	size_t count = 0, client_count;
	const struct command *const *client = cli_commands(&client_count);
	all[count++] = &command_serve;
	for (size_t i = 0; i < client_count && count < COMMANDS_MAX - 1; i++)
		all[count++] = client[i];
	all[count++] = &command_replay;
	setlocale(LC_CTYPE, "");
	return output_end(cli_main(all, count, argc, argv));
}
