/* run_limit: `--limit`: the driver holds the job to what --vram says, while it has its lease. */
#pragma once

struct baton_lease;
struct run;

/* Before anything else: -1, or the exit status, and why not was said. */
int run_limit_refuse(const struct run *run);
/* Under a lease, before the job's first process. Says where it does not hold, and why. */
void run_limit_set(struct run *run, const struct baton_lease *lease);
/* Once it has begun: says if it is not where the limit holds. */
void run_limit_check(struct run *run);
/* Nothing of it is left, and the lease is to be given back. */
void run_limit_lift(struct run *run);
