/* parse: the options of one command, read by its table. */
#pragma once
#include <stddef.h>

struct command;

enum { CLI_HELP = 1, CLI_VERSION = 2 }; /* --help or --version was given instead */

/* cli_parse without printing. 0, one of the above, or -1: `error` says what is wrong. */
int cli_parse_values(const struct command *command, int *argc, char **argv, void *values,
		     const char **ret_socket, char *error, size_t error_size);
