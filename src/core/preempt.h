/* preempt: which holders must yield to the claim at the head of a GPU, and when at the earliest
 * (docs/states.md, Order). */
#pragma once
#include "base/mono.h"
#include "core/types.h"

struct claim;
struct core;

/* When its turn reaches the hold limit, or early_ms before; NEVER while another limit applies
 * (loading). */
struct mono_ms preempt_hold_until(const struct core *core, const struct claim *holder,
				  int64_t early_ms);
/* When the holder may be asked to yield its compute turn on this GPU to head; NEVER: only
 * voluntarily. */
struct mono_ms preempt_when(const struct core *core, const struct claim *head,
			    const struct claim *holder, uint32_t gpu,
			    enum yield_reason *ret_reason);
/* The same, its class being due there or not. */
struct mono_ms preempt_when_due(const struct core *core, const struct claim *head,
				const struct claim *holder, uint32_t gpu, bool due,
				enum yield_reason *ret_reason);
/* What a waiter is told: when the holder must yield there to whomever, unless somebody comes or
 * goes; to head as above, or to another class, which will be due. */
struct mono_ms preempt_limit(const struct core *core, const struct claim *head,
			     const struct claim *holder, uint32_t gpu);
/* Asks the holders that must leave for the heads, as far as they may be asked by now, and sets
 * core.wake to when more may be. Withdraws requests that no head needs any more. */
void preempt_heads(struct core *core);
