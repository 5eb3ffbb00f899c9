/* check_private: what the check files share. */
#pragma once
#include "check.h"

/* Fails when more would be used than a GPU has once `want` uses these GPUs, all others counted by
 * what clients do and what the contract excuses (check_room.c). */
void check_room(struct world *w, const struct want *want, uint32_t gpus);
void check_sent_finish(struct check *check);
