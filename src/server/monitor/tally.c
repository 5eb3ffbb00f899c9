/* tally: reads the waits and holds off the core's traces, so that the core keeps no statistics of
 * them. Called for each trace that is delivered; GET /metrics shows the result. */
#include "server/monitor/tally.h"
#include "core/trace.h"

#include <assert.h>

void tally_trace(struct tally *tally, const struct trace_effect *trace)
{
	enum claim_state from = trace->from, to = trace->to;
	enum lease_class cls = trace->cls;
	if (!trace->claim || from == to) /* no move of a claim */
		return;
	assert(cls < LEASE_CLASS_COUNT);
	if (from == CLAIM_OFFERED && (to == CLAIM_HELD || to == CLAIM_LOADING))
		histogram_add(&tally->waits[cls], trace->waited_ms);
	bool held = from == CLAIM_HELD || from == CLAIM_LOADING || from == CLAIM_YIELDING;
	if (held && (to == CLAIM_ENDED || to == CLAIM_DRAINING || to == CLAIM_QUEUED))
		histogram_add(&tally->holds[cls], trace->held_ms);
}
