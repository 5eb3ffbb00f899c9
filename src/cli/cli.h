/* cli: the frame of the command line: finds a command, parses its options, prints help and errors,
 * all from const tables. Each command is a file of its own. */
#pragma once
#include <stdio.h>

struct cli;
struct command;

/* Finds and runs a command. Returns the exit status of the program. */
int cli_main(const struct command *const *commands, size_t count, int argc, char **argv);

/* Fills `values` (a struct that the offsets point into, with its defaults set) and moves the other
 * words to the front of argv, from argv[1] on. Returns -1 to continue, else the exit status: 0
 * after --help, 64 after an error; both are printed. */
int cli_parse(const struct cli *cli, const struct command *command, int *argc, char **argv,
	      void *values);
void cli_print_help(const struct cli *cli, const struct command *command, FILE *out);
void cli_print_overview(const struct cli *cli, FILE *out);
/* Prints that there is no such command, and the nearest one. Returns the exit status. */
int cli_unknown_command(const struct cli *cli, const char *word);
const struct command *cli_find(const struct command *const *commands, size_t count,
			       const char *name);
/* The known word nearest to a mistyped one, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *known, size_t count);

/* "baton: COMMAND: ..." in one line on stderr. Returns `status`. */
__attribute__((format(printf, 3, 4))) int cli_fail(const struct command *command, int status,
						   const char *format, ...);
