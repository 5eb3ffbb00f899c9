/* notice: the queue between what the socket said and what the program's handlers are told. It knows
 * no protocol and calls nobody: client.c and incoming.c add, baton_dispatch takes. */
#include "client/notice.h"

#include <stdlib.h>

struct notice *notices_add(struct notices *notices, enum notice_kind kind,
			   struct baton_claim *claim)
{
	/* Only the newest place or yield matters, and a program that does not dispatch for hours
	 * must not fill its memory with them. */
	if (kind == NOTICE_QUEUED || kind == NOTICE_YIELD)
		for (struct notice *notice = notices->first; notice; notice = notice->next)
			if (notice->kind == kind && notice->claim == claim)
				return notice;
	struct notice *notice = calloc(1, sizeof(*notice));
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

struct notice *notices_take(struct notices *notices)
{
	struct notice *notice = notices->first;
	if (!notice)
		return NULL;
	notices->first = notice->next;
	if (!notices->first)
		notices->last = NULL;
	notice->next = NULL;
	return notice;
}

/* Of any kind, or of one. */
static bool drop(struct notices *notices, const struct baton_claim *claim, int kind)
{
	struct notice **at = &notices->first;
	bool dropped = false;
	notices->last = NULL;
	while (*at) {
		struct notice *notice = *at;
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

void notices_forget(struct notices *notices, const struct baton_claim *claim)
{
	(void)drop(notices, claim, -1);
}

bool notices_drop_yield(struct notices *notices, const struct baton_claim *claim)
{
	return drop(notices, claim, NOTICE_YIELD);
}

void notices_finish(struct notices *notices)
{
	struct notice *notice;
	while ((notice = notices_take(notices)))
		free(notice);
}
