/* park: a lease that gave its turn back and keeps its memory, because what runs under it is frozen.
 * It waits by a claim of its own for the turn (`resumes`); when that is granted, the turn is the
 * lease's again and the claim ends. */
#pragma once
#include "core/state.h"

struct event;

static inline bool claim_parked(const struct claim *claim)
{
	return claim->rec.parked_slots > 0;
}

/* Fills in what a claim for the turn of this lease asks for. 0 or an error; *ret_detail: the field
 * that is wrong, or NULL. */
int park_judge(const struct core *core, const struct event *event, struct claim_record *rec,
	       const char **ret_detail);
/* The claim queues: its lease stops computing, and the record gets the lease's place. */
void park_begin(struct core *core, struct claim_record *rec);
/* The claim holds: its lease computes again, and the claim is over. No-op if the lease is. */
void park_end(struct core *core, struct claim *turn);
/* Until when it keeps its memory from this head; MONO_PAST unless it is parked. A higher class may
 * have it at once, others when its turn would have been over. */
struct mono_ms park_keeps_until(const struct claim *claim, const struct claim *head);
/* Of the GPUs of the lease that this claim resumes: where a head may have that lease's memory now.
 * The turn alone is worth nothing then: the lease would be asked for it as soon as it computes. Not
 * where nobody may ask the lease, as beside another turn of its session. */
uint32_t park_wanted_on(const struct core *core, const struct claim *turn);
