/* preempt: who must give way for a claim that waits at the head of a GPU, and when at the earliest
 * (docs/states.md, Order). */
#pragma once
#include "core/state.h"

/* When the holder may be asked to yield its compute turn on this GPU to head; NEVER: only of its
 * own will. */
struct mono_ms preempt_when(const struct core *core, const struct claim *head,
			    const struct claim *holder, uint32_t gpu,
			    enum yield_reason *ret_reason);
/* When an idle resident may be asked to leave; NEVER: it is busy, or not evictable. */
struct mono_ms preempt_evict_when(const struct core *core, const struct claim *resident);
/* Asks whoever must go so that head gets this GPU, as far as the time has come, and sets core.wake
 * to when more may be asked. */
void preempt_for(struct core *core, struct claim *head, uint32_t gpu);
/* Whoever was asked for somebody who waits no more, and is wanted by nobody else, may go on. True:
 * there was one; it may be asked again for others when its time comes. */
bool preempt_withdraw(struct core *core);
