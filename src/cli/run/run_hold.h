/* run_hold: one job under one lease, from the broker's welcome to the job's last process. */
#pragma once

struct command;
struct run;
struct run_options;

/* `options` and `argv` are borrowed; argv[0] is what the job is called. */
void run_begin(struct run *run, const struct command *command, const struct run_options *options,
	       char **argv);
/* Connects, waits, starts or attaches it, and returns the exit status when all of it is gone; or
 * dies of the signal that ended it. */
int run_hold(struct run *run);
