/* queued_event: an event that waits for its turn (event_queue.h), with all that it points to. */
#pragma once
#include "base/limits.h"
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
