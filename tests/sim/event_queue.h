/* event_queue: what will happen when, in virtual milliseconds. Equal times keep the order in which
 * they were added. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct envelope;

enum item_kind {
	ITEM_TURN,      /* the broker's loop turns */
	ITEM_TO_BROKER, /* envelope arrives at the broker */
	ITEM_TO_CLIENT, /* envelope arrives at a client */
	ITEM_CLIENT,    /* a client's timer: client, what, subject */
	ITEM_FAULT,     /* what = enum fault: it strikes */
	ITEM_HEAL,      /* what = enum fault: it passes, subject says which */
	ITEM_SAMPLE,    /* the GPU probe speaks */
	ITEM_PHASE,     /* faults off: the liveness phase begins */
};

struct item {
	int64_t t;
	uint64_t seq;
	enum item_kind kind;
	int what;
	uint32_t client, life; /* life: of the process that set the timer */
	uint64_t subject;
	struct envelope *envelope;
};

struct event_queue {
	struct item *heap;
	size_t count, capacity;
	uint64_t seq_next;
};

void event_queue_add(struct event_queue *event_queue, struct item item);
/* The earliest item, removed; false: none. */
bool event_queue_take(struct event_queue *event_queue, struct item *ret_item);
void event_queue_finish(struct event_queue *event_queue);
