/* batch: a queue of tickets and a stack of unused ones. Knows nothing of what events mean. Filled
 * by the callbacks of net and of timers, emptied by turn.c. */
#include "server/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_UNUSED_MAX = 1024 };

void batch_init(struct batch *batch)
{
	*batch = (struct batch){0};
}

void batch_finish(struct batch *batch)
{
	struct ticket *ticket;
	while ((ticket = batch_shift(batch)))
		batch_drop(batch, ticket);
	while ((ticket = batch->unused)) {
		batch->unused = ticket->next;
		free(ticket);
	}
	batch->unused_count = 0;
}

struct ticket *batch_new(struct batch *batch)
{
	struct ticket *ticket = batch->unused;
	if (ticket) {
		batch->unused = ticket->next;
		batch->unused_count--;
	} else {
		ticket = malloc(sizeof *ticket);
		if (!ticket)
			abort();
	}
	/* The texts need no clearing beyond their first byte. */
	memset(&ticket->in.event, 0, sizeof ticket->in.event);
	ticket->in.parsed.root = NULL;
	ticket->in.parsed.detail[0] = 0;
	ticket->who[0] = 0;
	ticket->next = NULL;
	return ticket;
}

void batch_push(struct batch *batch, struct ticket *ticket)
{
	assert(!ticket->next);
	if (batch->tail)
		batch->tail->next = ticket;
	else
		batch->head = ticket;
	batch->tail = ticket;
	batch->count++;
}

void batch_push_first(struct batch *batch, struct ticket *ticket)
{
	assert(!ticket->next);
	ticket->next = batch->head;
	batch->head = ticket;
	if (!batch->tail)
		batch->tail = ticket;
	batch->count++;
}

struct ticket *batch_shift(struct batch *batch)
{
	struct ticket *ticket = batch->head;
	if (!ticket)
		return NULL;
	assert(batch->count > 0);
	batch->head = ticket->next;
	if (!batch->head)
		batch->tail = NULL;
	ticket->next = NULL;
	batch->count--;
	return ticket;
}

void batch_drop(struct batch *batch, struct ticket *ticket)
{
	parsed_finish(&ticket->in.parsed);
	if (batch->unused_count >= BATCH_UNUSED_MAX) {
		free(ticket);
		return;
	}
	ticket->next = batch->unused;
	batch->unused = ticket;
	batch->unused_count++;
}

struct event *batch_event(struct batch *batch, enum event_type type, struct party from)
{
	struct ticket *ticket = batch_new(batch);
	ticket->in.event.type = type;
	ticket->in.event.from = from;
	batch_push(batch, ticket);
	return &ticket->in.event;
}
