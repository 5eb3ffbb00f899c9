/* run_containers: containers that a job started are no children of it, so they outlive it and its
 * lease. Nothing is done to them: they are named. */
#pragma once
#include <stdint.h>

struct run;

/* Once the lease is given back. `since` is the start of the job's first process. */
void run_containers_say(struct run *run, uint64_t since);
