/* event_queue: a binary heap by (time, order of adding). It does not own the envelopes in it;
 * world.c frees those that are left. */
#include "event_queue.h"

#include <assert.h>
#include <stdlib.h>

static bool sooner(const struct item *a, const struct item *b)
{
	return a->t != b->t ? a->t < b->t : a->seq < b->seq;
}

void event_queue_add(struct event_queue *event_queue, struct item item)
{
	if (event_queue->count == event_queue->capacity) {
		event_queue->capacity = event_queue->capacity ? event_queue->capacity * 2 : 256;
		event_queue->heap = realloc(event_queue->heap,
					    event_queue->capacity * sizeof *event_queue->heap);
		assert(event_queue->heap);
	}
	item.seq = event_queue->seq_next++;
	size_t i = event_queue->count++;
	while (i > 0 && sooner(&item, &event_queue->heap[(i - 1) / 2])) {
		event_queue->heap[i] = event_queue->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	event_queue->heap[i] = item;
}

bool event_queue_take(struct event_queue *event_queue, struct item *ret_item)
{
	if (event_queue->count == 0)
		return false;
	*ret_item = event_queue->heap[0];
	struct item last = event_queue->heap[--event_queue->count];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= event_queue->count)
			break;
		if (child + 1 < event_queue->count &&
		    sooner(&event_queue->heap[child + 1], &event_queue->heap[child]))
			child++;
		if (!sooner(&event_queue->heap[child], &last))
			break;
		event_queue->heap[i] = event_queue->heap[child];
		i = child;
	}
	if (event_queue->count > 0)
		event_queue->heap[i] = last;
	return true;
}

void event_queue_finish(struct event_queue *event_queue)
{
	free(event_queue->heap);
	*event_queue = (struct event_queue){0};
}
