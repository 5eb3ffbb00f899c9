/* preempt: who must give way for a claim that waits at the head of a GPU, and when at the earliest
 * (CASES.md G). By key, never by class alone. */
#pragma once
#include "core/state.h"

/* When the holder may be asked to yield its compute turn to head; NEVER: only of its own will. */
struct mono_ms preempt_when(const struct core *core, const struct claim *head,
			    const struct claim *holder, enum yield_reason *ret_reason);
/* When an idle resident may be asked to leave; NEVER: it is busy, or not evictable. */
struct mono_ms preempt_evict_when(const struct core *core, const struct claim *resident);
/* Asks whoever must go so that head gets this GPU, as far as the time has come, and sets core.wake
 * to when more may be asked. */
void preempt_for(struct core *core, const struct claim *head, uint32_t gpu);
/* The holders with room on this GPU: first with id 0; NULL: no more. */
struct claim *preempt_holder_after(const struct core *core, uint64_t id, uint32_t gpu);
