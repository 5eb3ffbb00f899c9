/* tally: how long claims waited and leases were held, by class, since the daemon began. */
#pragma once
#include "base/histogram.h"
#include "core/types.h"

struct trace_effect;

struct tally {
	struct histogram waits[LEASE_CLASS_COUNT], holds[LEASE_CLASS_COUNT];
};

/* Takes note of a trace: a grant ends a wait; an end, or a way back to the queue, a hold.
 */
void tally_trace(struct tally *tally, const struct trace_effect *trace);
