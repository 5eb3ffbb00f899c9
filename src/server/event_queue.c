/* queue: a queue of queued events and a stack of unused ones. Knows nothing of what events mean.
 * Filled by the callbacks of net and of timers, emptied by broker.c. */
#include "server/event_queue.h"
#include "server/queued_event.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_UNUSED_MAX = 1024 };

void event_queue_init(struct event_queue *queue)
{
	*queue = (struct event_queue){0};
}

void event_queue_finish(struct event_queue *queue)
{
	struct queued_event *queued;
	while ((queued = event_queue_shift(queue)))
		event_queue_drop(queue, queued);
	while ((queued = queue->unused)) {
		queue->unused = queued->next;
		free(queued);
	}
	queue->unused_count = 0;
}

struct queued_event *event_queue_new(struct event_queue *queue)
{
	struct queued_event *queued = queue->unused;

	if (queued) {
		queue->unused = queued->next;
		queue->unused_count--;
	} else {
		queued = malloc(sizeof(*queued));
		if (!queued)
			abort();
	}

	/* The texts need no clearing beyond their first byte. */
	memset(&queued->in.event, 0, sizeof(queued->in.event));
	queued->in.parsed.root = NULL;
	queued->in.parsed.detail[0] = 0;
	queued->who[0] = 0;
	queued->extra = NULL;
	queued->next = NULL;
	return queued;
}

void event_queue_push(struct event_queue *queue, struct queued_event *queued)
{
	assert(!queued->next);
	if (queue->tail)
		queue->tail->next = queued;
	else
		queue->head = queued;
	queue->tail = queued;
	queue->count++;
}

void event_queue_push_first(struct event_queue *queue, struct queued_event *queued)
{
	assert(!queued->next);
	queued->next = queue->head;
	queue->head = queued;
	if (!queue->tail)
		queue->tail = queued;
	queue->count++;
}

struct queued_event *event_queue_shift(struct event_queue *queue)
{
	struct queued_event *queued = queue->head;
	if (!queued)
		return NULL;
	assert(queue->count > 0);
	queue->head = queued->next;
	if (!queue->head)
		queue->tail = NULL;
	queued->next = NULL;
	queue->count--;
	return queued;
}

void event_queue_drop(struct event_queue *queue, struct queued_event *queued)
{
	parsed_finish(&queued->in.parsed);
	free(queued->extra);
	queued->extra = NULL;
	if (queue->unused_count >= BATCH_UNUSED_MAX) {
		free(queued);
		return;
	}
	queued->next = queue->unused;
	queue->unused = queued;
	queue->unused_count++;
}

struct event *event_queue_event(struct event_queue *queue, enum event_type type, struct party from)
{
	struct queued_event *queued = event_queue_new(queue);
	queued->in.event.type = type;
	queued->in.event.from = from;
	event_queue_push(queue, queued);
	return &queued->in.event;
}
