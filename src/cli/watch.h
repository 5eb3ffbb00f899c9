/* watch: the status, redrawn whenever something changes. */
#pragma once
#include <stdbool.h>

struct command;

/* Runs until q or Ctrl-C. Returns the exit status. */
int watch_status(const struct command *command, bool json);
