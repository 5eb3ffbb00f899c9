/* queue: the events that callbacks queued for this loop turn, in order of arrival, each with all
 * that it points to. Queued events are used again, so a busy loop allocates nothing. */
#pragma once
#include "wire/session_decode.h"

struct queued_event {
	struct session_request in;    /* in.event is stepped; it may point into in.parsed and who */
	char who[LIMIT_ID_BYTES + 1]; /* an operator, or the principal that asks */
	/* What the event calls a claim, where that does not stand in in.parsed. */
	char name[LIMIT_ID_BYTES + 1], label[LIMIT_LABEL_BYTES + 1];
	char request_id[LIMIT_REQUEST_ID_BYTES + 1];
	void *extra;               /* owned, may be NULL: freed with it */
	struct queued_event *next; /* queue.head or queue.unused */
};

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
