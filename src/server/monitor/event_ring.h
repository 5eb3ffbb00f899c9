/* event_ring: the newest changes, behind /v1/gpu/events. */
#pragma once
#include "base/limits.h"
#include "base/mono.h"
#include "core/trace.h"

/* An event's id is epoch * EVENT_RING_EPOCH + number, so it rises over restarts and stays exact in
 * JavaScript for 90,000 of them. */
#define EVENT_RING_EPOCH UINT64_C(100000000000)

struct event_ring_row {
	uint64_t id;
	struct wall_ms at;
	struct trace_effect trace;
};

struct event_ring {
	struct event_ring_row *rows; /* LIMIT_EVENT_RING */
	uint64_t first, next;        /* ids: of this broker's first, of the next one */
	unsigned subscribers;        /* sessions that asked for changes */
};

void event_ring_init(struct event_ring *ring, uint64_t epoch);
void event_ring_finish(struct event_ring *ring);
void event_ring_add(struct event_ring *ring, const struct trace_effect *trace, struct wall_ms at);
/* NULL when the ring does not have it (yet, or any more). */
const struct event_ring_row *event_ring_at(const struct event_ring *ring, uint64_t id);
uint64_t event_ring_oldest(const struct event_ring *ring);
