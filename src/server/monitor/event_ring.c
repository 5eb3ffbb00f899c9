/* event_ring: see event_ring.h. Readers come and look, by id. */
#include "server/monitor/event_ring.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void event_ring_init(struct event_ring *ring, uint64_t epoch)
{
	*ring = (struct event_ring){.first = epoch * EVENT_RING_EPOCH + 1};
	ring->next = ring->first;
	ring->rows = calloc(LIMIT_EVENT_RING, sizeof(*ring->rows));
	if (!ring->rows)
		abort();
}

void event_ring_finish(struct event_ring *ring)
{
	free(ring->rows);
	ring->rows = NULL;
}

void event_ring_add(struct event_ring *ring, const struct trace_effect *trace, struct wall_ms at)
{
	struct event_ring_row *row = &ring->rows[ring->next % LIMIT_EVENT_RING];

	row->id = ring->next++;
	row->at = at;
	/* What stands behind the end of a text is nothing. */
	memcpy(&row->trace, trace,
	       offsetof(struct trace_effect, detail) + strlen(trace->detail) + 1);
}

uint64_t event_ring_oldest(const struct event_ring *ring)
{
	uint64_t count = ring->next - ring->first;
	return count > LIMIT_EVENT_RING ? ring->next - LIMIT_EVENT_RING : ring->first;
}

const struct event_ring_row *event_ring_at(const struct event_ring *ring, uint64_t id)
{
	if (id < event_ring_oldest(ring) || id >= ring->next)
		return NULL;

	const struct event_ring_row *row = &ring->rows[id % LIMIT_EVENT_RING];
	assert(row->id == id);
	return row;
}
