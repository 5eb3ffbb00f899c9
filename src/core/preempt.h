/* preempt: who must give way for a claim that waits at the head of a GPU, and when at the earliest
 * (docs/states.md, Order). */
#pragma once
#include "core/state.h"

/* When the hold limit of its turn is over, or so much sooner; NEVER while another one holds. */
struct mono_ms preempt_hold_until(const struct core *core, const struct claim *holder,
				  int64_t early_ms);
/* When the holder may be asked to yield its compute turn on this GPU to head; NEVER: only of its
 * own will. */
struct mono_ms preempt_when(const struct core *core, const struct claim *head,
			    const struct claim *holder, uint32_t gpu,
			    enum yield_reason *ret_reason);
/* When an idle resident may be asked to leave; NEVER: it is busy, or not evictable. */
struct mono_ms preempt_evict_when(const struct core *core, const struct claim *resident);
/* Asks whoever must go so that those for whom a GPU is kept get it, as far as the time has come,
 * and sets core.wake to when more may be asked. Whoever was asked before and is wanted by none of
 * them may go on. */
void preempt_heads(struct core *core);
