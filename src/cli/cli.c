/* cli: finds the command, prints help and errors. It knows no command itself: main.c passes the
 * table. */
#include "cli/cli.h"
#include "cli/parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/clean_text.h"
#include "cli/command.h"

enum { NAME_BYTES_MAX = 24, NAMES_MAX = 64, ERROR_BYTES = 4096 };

const struct command *cli_find(const struct command *const *commands, size_t count,
			       const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* Edit distance with swaps of neighbours, over short words. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	size_t rows[3][NAME_BYTES_MAX + 1];
	if (n > NAME_BYTES_MAX || m > NAME_BYTES_MAX)
		return NAME_BYTES_MAX;

	size_t *before = rows[0], *last = rows[1], *row = rows[2];
	for (size_t j = 0; j <= m; j++)
		last[j] = j;

	for (size_t i = 1; i <= n; i++) {
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}

		size_t *spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[m];
}

const char *cli_nearest(const char *word, const char *const *known, size_t count)
{
	const char *nearest = NULL;
	size_t length = strlen(word);
	size_t best = length / 3 + 1; /* one slip in three letters, at least one */

	for (size_t i = 0; i < count; i++) {
		if (length >= 2 && strncmp(known[i], word, length) == 0)
			return known[i];
		size_t d = edit_distance(word, known[i]);
		if (d <= best) {
			best = d - (d > 0);
			nearest = known[i];
		}
	}
	return nearest;
}

int cli_fail(const struct command *command, int status, const char *format, ...)
{
	va_list args;
	char text[ERROR_BYTES], shown[ERROR_BYTES]; /* names that somebody gave are in it */

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "baton: %s%s%s\n", command ? command->name : "", command ? ": " : "",
		clean_text(shown, sizeof(shown), text, true));
	return status;
}

static void print_option(const struct option_spec *spec, FILE *out)
{
	char left[64];
	snprintf(left, sizeof(left), "%c%c%s--%s%s%s", spec->letter ? '-' : ' ',
		 spec->letter ? spec->letter : ' ', spec->letter ? ", " : "  ", spec->name,
		 spec->argument ? " " : "", spec->argument ? spec->argument : "");
	fprintf(out, "  %-26s %s\n", left, spec->help);
}

void cli_print_help(const struct cli *cli, const struct command *command, FILE *out)
{
	static const struct option_spec shared[] = {
		{.name = "socket",
		 .argument = "PATH",
		 .help = "the broker's socket; default $BATON_SOCKET, else in $XDG_RUNTIME_DIR"},
		{.letter = 'h', .name = "help", .help = "this text"},
		{.letter = 'V', .name = "version", .help = "the version of this program"},
	};

	fprintf(out, "usage: %s %s %s\n\n%s\n\noptions:\n", cli->program, command->name,
		command->usage, command->summary);
	for (size_t i = 0; i < command->option_count; i++)
		print_option(&command->options[i], out);
	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++)
		print_option(&shared[i], out);

	if (command->details)
		fprintf(out, "\n%s\n", command->details);
}

static int check_arguments(const struct command *command, int argc, char **argv)
{
	int words = argc - 1;
	enum argument_kind kind = command->arguments;
	bool needs_one = kind == ARGUMENTS_CLAIM || kind == ARGUMENTS_SHELL;
	bool needs_two = kind == ARGUMENTS_FORMAT_FILE;
	if ((needs_one && words == 0) || (needs_two && words < 2))
		return cli_fail(command, EX_USAGE, "usage: baton %s %s", command->name,
				command->usage);

	if (command->arguments == ARGUMENTS_COMMAND && words == 0)
		return cli_fail(command, EX_USAGE, "no command given; try: baton %s -- COMMAND",
				command->name);

	int most = 1;
	if (command->arguments == ARGUMENTS_NONE)
		most = 0;
	else if (needs_two)
		most = 2;
	else if (command->arguments == ARGUMENTS_COMMAND || command->arguments == ARGUMENTS_WORDS)
		most = words;

	if (words > most)
		return cli_fail(command, EX_USAGE,
				"unexpected argument '%.60s'; try: baton %s --help", argv[most + 1],
				command->name);
	return -1;
}

static int print_version(void)
{
	printf("baton %s\n", BATON_VERSION);
	return 0;
}

int cli_parse(const struct cli *cli, const struct command *command, int *argc, char **argv,
	      void *values)
{
	char error[256];
	const char *socket_path = NULL;
	int rc = cli_parse_values(command, argc, argv, values, &socket_path, error, sizeof(error));
	if (rc < 0)
		return cli_fail(command, EX_USAGE, "%s; try: baton %s --help", error,
				command->name);

	if (rc == CLI_VERSION)
		return print_version();
	if (rc == CLI_HELP) {
		cli_print_help(cli, command, stdout);
		return 0;
	}

	/* --socket may stand before or after the command, and child processes need it too: the
	 * environment serves all three. */
	if (socket_path && setenv("BATON_SOCKET", socket_path, 1) < 0)
		return cli_fail(command, EX_OSERR, "%s", strerror(errno));

	return check_arguments(command, *argc, argv);
}

void cli_print_overview(const struct cli *cli, FILE *out)
{
	fputs("usage: baton [--socket PATH] COMMAND [OPTION]...\n\n"
	      "Takes turns on the GPU: one holder at a time, a fair queue for the rest.\n\n"
	      "commands:\n",
	      out);

	for (size_t i = 0; i < cli->command_count; i++)
		fprintf(out, "  %-14s %s\n", cli->commands[i]->name, cli->commands[i]->summary);
	fputs("\n`baton help COMMAND` lists the options of one. The broker is found by\n"
	      "--socket, else $BATON_SOCKET, else $XDG_RUNTIME_DIR/baton/baton.sock.\n"
	      "Exit status: 0 done, 1 doctor found something broken, 64 usage, 65 malformed,\n"
	      "66 no such thing, 69 no broker, 70 a bug, 71 memory, 72 never fits, 74 reading\n"
	      "or writing, 75 not now: try again, 76 protocol, 77 not allowed, 78 configuration;\n"
	      "`run`: that of the command.\n",
	      out);
}

int cli_unknown_command(const struct cli *cli, const char *word)
{
	const char *names[NAMES_MAX];
	size_t known = 0;
	for (size_t i = 0; i < cli->command_count && known < NAMES_MAX; i++)
		if (!cli->commands[i]->destructive)
			names[known++] = cli->commands[i]->name;

	const char *nearest = cli_nearest(word, names, known);
	if (nearest)
		return cli_fail(NULL, EX_USAGE, "unknown command '%.60s'; did you mean %s?", word,
				nearest);
	return cli_fail(NULL, EX_USAGE, "unknown command '%.60s'; try: baton --help", word);
}

static bool is_version(const char *word)
{
	return strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0;
}

/* Takes the options before the command. Returns -1 to continue at *at, else the exit status. */
static int take_globals(const struct cli *cli, int argc, char **argv, int *at)
{
	for (*at = 1; *at < argc && argv[*at][0] == '-'; (*at)++) {
		const char *word = argv[*at], *value = NULL;

		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			cli_print_overview(cli, stdout);
			return 0;
		}
		if (is_version(word))
			return print_version();

		if (strncmp(word, "--socket=", 9) == 0)
			value = word + 9;
		else if (strcmp(word, "--socket") == 0 && *at + 1 < argc)
			value = argv[++*at];
		if (!value && strcmp(word, "--socket") == 0)
			return cli_fail(NULL, EX_USAGE, "--socket wants a path; try: baton --help");
		if (!value)
			return cli_fail(NULL, EX_USAGE, "unknown option '%.60s'; try: baton --help",
					word);

		if (setenv("BATON_SOCKET", value, 1) < 0)
			return cli_fail(NULL, EX_OSERR, "%s", strerror(errno));
	}
	return -1;
}

int cli_main(const struct command *const *commands, size_t count, int argc, char **argv)
{
	const struct cli cli = {.program = "baton", .commands = commands, .command_count = count};
	int at;
	int rc = take_globals(&cli, argc, argv, &at);
	if (rc >= 0)
		return rc;

	if (at >= argc) {
		cli_print_overview(&cli, stderr);
		return EX_USAGE;
	}

	const struct command *command = cli_find(commands, count, argv[at]);
	if (!command)
		return cli_unknown_command(&cli, argv[at]);
	if (command->arguments == ARGUMENTS_RAW && at + 1 < argc && is_version(argv[at + 1]))
		return print_version();
	return command->run(&cli, command, argc - at, argv + at);
}
