/* watch: the status, drawn anew whenever something changes. */
#pragma once
#include "cli/cli.h"

/* Until q, Ctrl-C or the end of the broker. Returns the exit status. */
int watch_status(const struct command *command, bool json);
