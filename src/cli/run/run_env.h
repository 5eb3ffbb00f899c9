/* run_env: what the command of `baton run` finds in its environment. */
#pragma once

struct baton_lease;
struct run_progress;

/* Before the first lease. `ids`: "uuid" or "index"; NULL: what this command understands. */
void run_env_init(const char *ids, char *const *argv);
void run_env_set(const struct baton_lease *lease, struct run_progress *show);
