/* callback_queue: the queue between the socket and the program's handlers. It knows no protocol and
 * calls no handler: the session adds, baton_dispatch takes. */
#include "client/callback_queue.h"

#include <stdlib.h>

struct callback *callback_queue_add(struct callback_queue *notices, enum notice_kind kind,
				    struct baton_claim *claim)
{
	/* Only the newest position or yield matters, and a program that does not dispatch for hours
	 * must not fill its memory with them. */
	if (kind == NOTICE_QUEUED || kind == NOTICE_YIELD || kind == NOTICE_TOLD)
		for (struct callback *notice = notices->first; notice; notice = notice->next)
			if (notice->kind == kind && notice->claim == claim)
				return notice;

	struct callback *notice = calloc(1, sizeof(*notice));
	if (!notice)
		abort();

	notice->kind = kind;
	notice->claim = claim;

	if (notices->last)
		notices->last->next = notice;
	else
		notices->first = notice;
	notices->last = notice;
	return notice;
}

struct callback *callback_queue_take(struct callback_queue *notices)
{
	struct callback *notice = notices->first;
	if (!notice)
		return NULL;

	notices->first = notice->next;
	if (!notices->first)
		notices->last = NULL;
	notice->next = NULL;
	return notice;
}

/* `kind`: -1 for all. */
static bool drop_callbacks(struct callback_queue *notices, const struct baton_claim *claim,
			   int kind)
{
	struct callback **at = &notices->first;
	bool dropped = false;
	notices->last = NULL;

	while (*at) {
		struct callback *notice = *at;
		if (notice->claim == claim &&
		    (kind < 0 || notice->kind == (enum notice_kind)kind)) {
			*at = notice->next;
			free(notice);
			dropped = true;
		} else {
			notices->last = notice;
			at = &notice->next;
		}
	}

	return dropped;
}

void callback_queue_forget(struct callback_queue *notices, const struct baton_claim *claim)
{
	(void)drop_callbacks(notices, claim, -1);
}

bool callback_queue_drop_yield(struct callback_queue *notices, const struct baton_claim *claim)
{
	return drop_callbacks(notices, claim, NOTICE_YIELD);
}

void callback_queue_finish(struct callback_queue *notices)
{
	struct callback *notice;
	while ((notice = callback_queue_take(notices)))
		free(notice);
}
