/* run: a command under a lease: its own, or that of the `baton run` around us. */
#pragma once

struct run;

/* Returns the exit status. */
int run_command(struct run *run);
