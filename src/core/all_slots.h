/* all_slots: turns that nobody shares. Such a lease has all slots of each of its GPUs, however many
 * each has, also when a reload changes that. Which GPUs it gets is the scheduler's decision. */
#pragma once

struct claim;
struct core;

/* From the grant on: `slots` of its need is what it has on each of its GPUs, or more. */
void all_slots_count(const struct core *core, struct claim *claim);
/* Around a change of the configuration. */
void all_slots_drop(struct core *core);
void all_slots_take(struct core *core);
