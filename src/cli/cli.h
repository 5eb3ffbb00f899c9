/* cli: the frame of the command line: one const table of commands, one of options for each;
 * parsing, help, completion and the words of errors come from them. A command is a file of its own.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
	OPTION_FLAG,     /* bool */
	OPTION_TEXT,     /* const char * */
	OPTION_CHOICE,   /* const char *, one of choices */
	OPTION_SIZE,     /* uint64_t bytes: "8G", "512M" */
	OPTION_DURATION, /* int64_t ms: "90s", "5m", "1h30m"; a bare number is seconds */
	OPTION_COUNT,    /* uint32_t */
	OPTION_SLOTS,    /* uint32_t; "all": BATON_SLOTS_ALL */
	OPTION_SIGNAL,   /* int: "TERM", "SIGUSR1", "10" */
};

struct option_spec {
	char letter;      /* 0: none */
	const char *name; /* without dashes */
	enum option_kind kind;
	const char *argument; /* its word in the help; NULL for flags */
	const char *help;
	size_t offset;              /* into the command's values */
	const char *const *choices; /* OPTION_CHOICE, NULL-terminated */
	bool destructive;           /* never suggested to who mistyped, as with commands */
};

/* What stands after the options, for checks and completion. */
enum argument_kind {
	ARGUMENTS_NONE,
	ARGUMENTS_COMMAND, /* a program and its arguments: options end at the first word */
	ARGUMENTS_CLAIM,   /* one claim, by number or name */
	ARGUMENTS_CLAIM_OR_NONE,
	ARGUMENTS_SHELL,
	ARGUMENTS_COMMAND_NAME, /* one of ours, or none */
	ARGUMENTS_WORDS,        /* any number of words */
	ARGUMENTS_RAW,          /* the command parses all by itself */
};

struct cli {
	const char *program; /* "baton" */
	const struct command *const *commands;
	size_t command_count;
};

struct command {
	const char *name, *summary, *usage; /* usage: what follows the name */
	const char *details;                /* more help, or NULL */
	const struct option_spec *options;
	size_t option_count;
	enum argument_kind arguments;
	bool destructive; /* takes something from somebody: never suggested to who mistyped */
	/* argv[0] is the command's name. Returns the exit status. */
	int (*run)(const struct cli *cli, const struct command *command, int argc, char **argv);
};

/* Finds and runs a command. Returns the exit status of the program. */
int cli_main(const struct command *const *commands, size_t count, int argc, char **argv);
/* The client's own commands, in the order of the help. */
const struct command *const *cli_commands(size_t *ret_count);

/* Fills `values` (a struct that the offsets point into, with its defaults set) and moves what is no
 * option to the front of argv, from argv[1] on. Returns -1 to go on, else the exit status: 0 after
 * --help, 64 after an error, both printed. */
int cli_parse(const struct cli *cli, const struct command *command, int *argc, char **argv,
	      void *values);
enum { CLI_HELP = 1, CLI_VERSION = 2 }; /* what was asked for instead */
/* The same without printing. 0, one of the above, or -1: `error` says what is wrong. */
int cli_parse_values(const struct command *command, int *argc, char **argv, void *values,
		     const char **ret_socket, char *error, size_t error_size);
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
