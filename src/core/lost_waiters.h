/* lost_waiters: the keys of lost waiters (plain HTTP and pages), kept for place_memory_ms. The same
 * request_id, asked again, gets its place back (CASES.md P19). A bounded ring; a restart of the
 * broker clears it. */
#pragma once
#include "core/types.h"

struct claim;
struct claim_record;
struct core;
struct lost_waiter;

/* Of who waits; of who was offered its turn no longer ago than it may be left unanswered, which
 * counts as an offer that was missed. Nothing is kept of others, and of who has missed as many as
 * end a claim. */
void lost_waiter_keep(struct core *core, const struct claim *claim);
/* Moves the remembered place, and what was used of its turn, into rec; leaves rec alone if there is
 * none. */
void lost_waiter_take(struct core *core, struct claim_record *rec);
bool lost_waiter_alive(const struct core *core,
		       const struct lost_waiter *place); /* can be reclaimed */
/* How many lost waiters of a class could come back before others, and how many of them load. */
uint32_t lost_waiters_count(const struct core *core, enum lease_class cls, uint32_t *ret_loads);
/* The broker stood still for so long, in which nobody could come back. */
void lost_waiters_shift(struct core *core, int64_t ms);
