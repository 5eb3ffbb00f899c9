/* fault: what the two files of timed faults share, and what the world and the daemon ask of them.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "scenario.h"

struct world;
struct client;

void fault_schedule_all(struct world *w);
void fault_strike(struct world *w, enum fault fault);
void fault_heal(struct world *w, enum fault fault, uint64_t subject);
void fault_sample(struct world *w); /* the GPU probe speaks */

/* The clock of the bounds stands still from begin to end of such a condition. */
void fault_condition(struct world *w, bool begins);
void fault_heal_later(struct world *w, enum fault fault, uint64_t subject, int64_t lo_ms,
		      int64_t hi_ms);
void fault_settle_later(struct world *w, enum fault fault);

/* fault_machine.c: GPUs, configuration and processes. */
void fault_machine_strike(struct world *w, enum fault fault);
void fault_machine_heal(struct world *w, enum fault fault, uint64_t subject);
/* GPUs that are large enough for all who were ever taken into the queue. */
void fault_restore_config(struct world *w);
/* A client was welcomed: can its process be watched? */
void fault_welcome(struct world *w, struct client *client, uint64_t session);
bool fault_unwatched(const struct client *client, uint32_t life);
void fault_exit(struct world *w, uint64_t session); /* its process is seen to be gone */
/* A process goes so late though it was killed: nobody can promise anything till then. */
void fault_stuck(struct world *w, int64_t after_ms);
