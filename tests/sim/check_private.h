/* check_private: what the check files share. */
#pragma once
#include "check.h"

struct claim_record;
struct record;

/* Fails when more would be used than a GPU has once `job` uses these GPUs, all others counted by
 * what clients do and what the contract excuses (check_room.c). */
void check_room(struct world *w, const struct job *job, uint32_t gpus);
/* One effect of a step, against the rules of the policy (check_rules.c). */
void check_rules(struct world *w, const struct effect *fx);
void check_place(struct world *w, struct job *job, const struct claim_record *rec);
void check_settling(struct world *w, struct job *job, const struct record *record);
void check_linger(struct world *w, const struct job *job, const struct claim_record *rec);
/* The same, in observe mode (check_observe.c); and what a record says of it. */
void check_observe(struct world *w, const struct effect *fx);
void check_observe_record(struct world *w, struct job *job, const struct claim_record *rec);
void check_sent_finish(struct check *check);
