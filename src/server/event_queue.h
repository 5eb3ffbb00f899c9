/* queue: the events that callbacks queued for this loop turn, in order of arrival, each with all
 * that it points to. Queued events are used again, so a busy loop allocates nothing. */
#pragma once
#include <stddef.h>

#include "core/event.h"
#include "core/party.h"

struct queued_event;

struct event_queue {
	struct queued_event *head, *tail, *unused;
	size_t count, unused_count;
};

void event_queue_init(struct event_queue *queue);
void event_queue_finish(struct event_queue *queue); /* drops what is queued */
/* A queued with a zeroed event, to be pushed or dropped. Aborts on allocation failure. */
struct queued_event *event_queue_new(struct event_queue *queue);
void event_queue_push(struct event_queue *queue, struct queued_event *queued);       /* takes it */
void event_queue_push_first(struct event_queue *queue, struct queued_event *queued); /* takes it */
struct queued_event *event_queue_shift(struct event_queue *queue); /* NULL: empty; then drop it */
void event_queue_drop(struct event_queue *queue, struct queued_event *queued); /* takes it */
/* An event with a type and a sender only; fill in the rest before the next turn. */
struct event *event_queue_event(struct event_queue *queue, enum event_type type, struct party from);
