/* replay_predecessor: the rules of the bridge that Baton replaces, as its source has them: one
 * lock, strict priority, first come first served among equals, 60 s in the queue whatever the
 * client asked for, and dead holders go unnoticed. Uses what the clients did, never the recorded
 * outcome. */
#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/mono.h"
#include "replay/replay_private.h"
#include "replay/replay_result.h"

enum { WAIT_MS_MAX = 60 * 1000 };

struct bridge {
	const struct replay_trace *trace;
	struct replay_result *result;
	size_t *queue; /* requests in order of arrival */
	size_t queue_count;
	bool held;
	size_t holder;
	int64_t release_ms, death_ms; /* INT64_MAX: never */
};

static void grant_lock(struct bridge *b, size_t request, int64_t now_ms)
{
	const struct replay_request *q = &b->trace->requests[request];
	b->held = true;
	b->holder = request;
	b->release_ms = q->dies_ms < 0 ? now_ms + q->hold_ms : INT64_MAX;
	b->death_ms = q->dies_ms < 0 ? INT64_MAX : now_ms + q->dies_ms;
	replay_result_phase(b->result, request, PHASE_HOLDING, now_ms);
}

static void leave_queue(struct bridge *b, size_t place)
{
	b->queue_count--;
	for (size_t i = place; i < b->queue_count; i++)
		b->queue[i] = b->queue[i + 1];
}

static void release_lock(struct bridge *b, int64_t now_ms)
{
	replay_result_end(b->result, b->holder, ENDING_RELEASED, now_ms);
	b->held = false;
	b->release_ms = INT64_MAX;
	if (!b->queue_count)
		return;

	size_t best = 0;
	for (size_t i = 1; i < b->queue_count; i++)
		if (b->trace->requests[b->queue[i]].priority <
		    b->trace->requests[b->queue[best]].priority)
			best = i;

	size_t next = b->queue[best];
	leave_queue(b, best);
	grant_lock(b, next, now_ms);
}

static void take_arrival(struct bridge *b, size_t request)
{
	int64_t now_ms = b->trace->requests[request].at_ms;
	replay_result_phase(b->result, request, PHASE_WAITING, now_ms);
	if (b->held)
		b->queue[b->queue_count++] = request;
	else
		grant_lock(b, request, now_ms);
}

/* At equal times a release comes before an arrival, and both before a timeout. */
void replay_predecessor(const struct replay_trace *trace, struct replay_result *result)
{
	struct bridge b = {
		.trace = trace, .result = result, .release_ms = INT64_MAX, .death_ms = INT64_MAX};

	b.queue = check_memory(calloc(trace->count, sizeof(*b.queue)));
	size_t arrived = 0;
	for (;;) {
		int64_t arrival_ms =
			arrived < trace->count ? trace->requests[arrived].at_ms : INT64_MAX;
		int64_t timeout_ms =
			b.queue_count ? trace->requests[b.queue[0]].at_ms + WAIT_MS_MAX : INT64_MAX;
		int64_t holder_ms = ms_shorter(b.release_ms, b.death_ms);
		int64_t now_ms = ms_shorter(ms_shorter(arrival_ms, timeout_ms), holder_ms);
		if (now_ms > trace->end_ms)
			break;
		if (now_ms == b.death_ms) {
			replay_result_phase(result, b.holder, PHASE_LOST, now_ms);
			b.death_ms = INT64_MAX;
		} else if (now_ms == b.release_ms) {
			release_lock(&b, now_ms);
		} else if (now_ms == arrival_ms) {
			take_arrival(&b, arrived++);
		} else {
			replay_result_end(result, b.queue[0], ENDING_TIMEOUT, now_ms);
			leave_queue(&b, 0);
		}
	}

	free(b.queue);
	replay_result_close(result, trace->count);
}
