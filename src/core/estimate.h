/* estimate: how long turns and waits really were, and from that how long a wait will be. For people
 * and for the queue's tags; no grant depends on an estimate given here. Counts fade with a
 * half-life of three quarters of an hour. */
#pragma once
#include "base/mono.h"
#include "base/spread.h"
#include "core/types.h"

enum { ESTIMATE_DEPTHS = 4 }; /* how many are before it: none, 1 or 2, 3 to 6, more */

/* Plain numbers, so that they can be kept and exported. */
struct estimates {
	struct mono_ms since; /* what began earlier was not seen whole: a start, a stall, a pause */
	struct mono_ms faded;
	int64_t seen_ms; /* until `faded`, in which the grants came; fades like them */
	uint64_t grants[LEASE_CLASS_COUNT];
	int64_t mean_ms[LEASE_CLASS_COUNT]; /* turns, cut off at the hold limit; 0: none */
	struct spread turns[LEASE_CLASS_COUNT];
	struct spread stays[LEASE_CLASS_COUNT]; /* of claims that take memory only */
	struct spread waits[LEASE_CLASS_COUNT];
	int64_t leaving_ms;    /* mean of the next; 0: none */
	struct spread leaving; /* from a yield request to having yielded */
	/* Actual over predicted waits, by class and by how many were ahead. */
	struct spread ratios[LEASE_CLASS_COUNT * ESTIMATE_DEPTHS];
};

struct claim;
struct core;

void estimate_wait_began(struct core *core, struct claim *claim);
void estimate_wait_ended(struct core *core, const struct claim *claim);
void estimate_hold_ended(struct core *core, const struct claim *claim);
/* Grants were stopped, the clock stood still, or the broker started: what is under way now is no
 * sample. */
void estimate_disturbed(struct core *core);
/* The mean turn of a class, or of all where it had none; -1: none was seen. */
int64_t estimate_mean_hold_ms(const struct core *core, enum lease_class cls);
/* The predicted wait; -1: nothing is known, 0: nothing is in the way. */
int64_t estimate_reckon_ms(const struct core *core, const struct claim *claim, struct mono_ms now);
/* A turn of the claim would fit on one of its GPUs now. */
bool estimate_slots_free(const struct core *core, const struct claim *claim);

/* The median of the remaining wait, and what nine of ten such waits stay under; -1: unknown. From
 * past waits and turns, not from promises. */
struct estimate {
	int64_t p50_ms, p90_ms;
	uint32_t samples; /* observed waits of its class with as many ahead */
};
/* Over all grants of about the last hour, including those without a wait. */
void core_waits(const struct core *core, enum lease_class cls, struct estimate *ret);
void core_estimate(const struct core *core, uint64_t claim_id, struct mono_ms now,
		   struct estimate *ret);
