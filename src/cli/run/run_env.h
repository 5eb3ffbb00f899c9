/* run_env: what a command of `baton run` finds in its environment: the lease, and which GPUs it may
 * see, in the words of each vendor. */
#pragma once
#include "baton/baton.h"
#include "cli/run/run_progress.h"

/* Once for all rounds, before the first run_env_set: remembers what the caller had set. */
void run_env_init(void);
/* Says so once where the broker knows no UUID, for its indexes are then only the order of its
 * configuration. */
void run_env_set(const struct baton_lease *lease, struct run_progress *show);
