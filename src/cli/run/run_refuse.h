/* run_refuse: explains why `baton run` was refused before it queued. Each returns the exit status.
 */
#pragma once

struct command;

/* The socket's path is too long. */
int run_refuse_path(const struct command *command);
/* The broker serves another user; `what` was not started. */
int run_refuse_user(const struct command *command, const char *what);
