/* command: the table row of a command, and those of its options. Parsing, help and completion are
 * driven by them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,     /* bool */
	OPTION_TEXT,     /* const char * */
	OPTION_CHOICE,   /* const char *, one of choices */
	OPTION_SIZE,     /* uint64_t bytes: "8G", "512M" */
	OPTION_DURATION, /* int64_t ms: "90s", "5m", "1h30m"; a bare number is seconds */
	OPTION_COUNT,    /* uint32_t */
	OPTION_SLOTS,    /* uint32_t; "all": BATON_SLOTS_ALL */
	/* int: "TERM", "SIGUSR1", "10"; below 0: one of choices, OPTION_CHOSEN(its place) */
	OPTION_SIGNAL,
};

#define OPTION_CHOSEN(at) (-1 - (at))

struct option_spec {
	char letter;      /* 0: none */
	const char *name; /* without dashes */
	enum option_kind kind;
	const char *argument; /* its word in the help; NULL for flags */
	const char *help;
	size_t offset;              /* into the command's values */
	const char *const *choices; /* OPTION_CHOICE and _SIGNAL, NULL-terminated */
	bool destructive;           /* never suggested after a typo, as with commands */
	const char *not_zero;       /* OPTION_DURATION: 0 is refused, in these words; else NULL */
};

/* What follows the options, for checks and completion. */
enum argument_kind {
	ARGUMENTS_NONE,
	ARGUMENTS_COMMAND, /* a program and its arguments: options end at the first word */
	ARGUMENTS_CLAIM,   /* one claim, by number or name */
	ARGUMENTS_CLAIM_OR_NONE,
	ARGUMENTS_SHELL,
	ARGUMENTS_COMMAND_NAME, /* a command of baton, or none */
	ARGUMENTS_WORDS,        /* any number of words */
	ARGUMENTS_FORMAT_FILE,  /* the name of a format, and a file of it */
	ARGUMENTS_RAW,          /* the command parses its own words */
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
	const char *const *verbs; /* what may stand first, NULL-terminated; NULL: anything */
	bool destructive;         /* takes something from somebody: never suggested after a typo */
	/* argv[0] is the command's name. Returns the exit status. */
	int (*run)(const struct cli *cli, const struct command *command, int argc, char **argv);
};
