/* commands: the client's half of the command table. */
#pragma once
#include <stddef.h>

struct command;

/* In the order of the help. */
const struct command *const *cli_commands(size_t *ret_count);
