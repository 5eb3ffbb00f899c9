/* run_command: a command under a lease: its own, or that of the `baton run` around us. */
#pragma once
#include "cli/run/run_hold.h"

/* Returns the exit status. */
int run_command(struct run *run);
