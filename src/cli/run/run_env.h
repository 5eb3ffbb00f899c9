/* run_env: the environment of a command of `baton run`: the lease, and which GPUs it may see, in
 * each vendor's variables. */
#pragma once
#include "baton/baton.h"
#include "cli/run/run_progress.h"

/* Call once, before the first run_env_set: remembers what the caller had set. */
void run_env_init(void);
/* Warns once if the broker knows no UUID, because its indexes are then only the order of its
 * configuration. */
void run_env_set(const struct baton_lease *lease, struct run_progress *show);
