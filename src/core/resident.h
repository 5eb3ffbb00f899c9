/* resident: what is kept in memory without a turn: who computes with it, when it may be asked to
 * leave for others, and which of several goes (docs/states.md, Switches). A turn *uses* a resident
 * when it needs it in memory: the gateway says so of each request. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"

struct claim;
struct claim_record;
struct core;

/* What the claim says that it uses, or NULL: it says nothing, or that is over. */
struct claim *resident_used(const struct core *core, const struct claim_record *user);
/* The claim begins or ceases to wait; has room, or has it no more. */
void resident_waits(struct core *core, const struct claim *user);
void resident_waits_no_more(struct core *core, const struct claim *user);
void resident_runs(struct core *core, const struct claim *user);
void resident_runs_no_more(struct core *core, const struct claim *user);
void resident_check(const struct core *core); /* the counts are true */

/* When it may be asked to leave for the head; NEVER: it is busy, or not evictable. However many
 * come to use it, that is never later than its stay, or the head's arrival, and resident_most_ms
 * of it. */
struct mono_ms resident_leaves_at(const struct core *core, const struct claim *head,
				  const struct claim *resident);
/* The same of one that was asked for another, who left: may it be asked for this head? */
struct mono_ms resident_goes_at(const struct core *core, const struct claim *head,
				const struct claim *resident);
/* For so long those who use it may go before a switch. */
int64_t resident_most_ms(const struct core *core, const struct claim *resident);
/* Lowest class first; then the longest unused, weighed by what loading it again costs. */
bool resident_goes_before(const struct core *core, const struct claim *a, const struct claim *b);
