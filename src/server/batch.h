/* batch: the events that callbacks queued for this loop turn, in order of arrival, each with all
 * that it points to. Tickets are used again, so a busy loop allocates nothing. */
#pragma once
#include "wire/message.h"

struct ticket {
	struct message_in in;         /* in.event is stepped; it may point into in.parsed and who */
	char who[LIMIT_ID_BYTES + 1]; /* an operator, or the principal that asks */
	struct ticket *next;          /* batch.head or batch.unused */
};

struct batch {
	struct ticket *head, *tail, *unused;
	size_t count, unused_count;
};

void batch_init(struct batch *batch);
void batch_finish(struct batch *batch); /* drops what is queued */
/* A ticket with a zeroed event, to be pushed or dropped. Aborts when memory is out. */
struct ticket *batch_new(struct batch *batch);
void batch_push(struct batch *batch, struct ticket *ticket);       /* takes it */
void batch_push_first(struct batch *batch, struct ticket *ticket); /* takes it */
struct ticket *batch_shift(struct batch *batch);                   /* NULL: empty; then drop it */
void batch_drop(struct batch *batch, struct ticket *ticket);       /* takes it */
/* An event with a type and a sender only; fill in the rest before the next turn. */
struct event *batch_event(struct batch *batch, enum event_type type, struct party from);
