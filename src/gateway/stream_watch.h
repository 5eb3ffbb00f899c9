/* stream_watch: where an answer that is passed on stands: between two events (only there may
 * something be put between, or the rest be left out), whether it said that it is complete, and what
 * an error at its end must go on from. Looks, never changes; lines longer than 64 KiB are passed
 * over. */
#pragma once
#include "base/buf.h"
#include "gateway/api_error.h"

struct stream_watch {
	enum api_wire wire;
	bool in_event;   /* a line of one has come, its end has not */
	bool after_cr;   /* a line feed may follow that belongs to it */
	struct buf line; /* of what has come of the present line */
	bool long_line;
	bool finished; /* it said why it ends: what follows may be missing */
	bool failed;   /* it said that it failed */
	bool unread;   /* a line was passed over: it may have said so there */
	struct api_stream_position position;
};

void stream_watch_begin(struct stream_watch *watch, enum api_wire wire);
void stream_watch_finish(struct stream_watch *watch);
/* How many of these bytes, from the first one, end with an event or a comment; 0: none ends here.
 */
size_t stream_watch_take(struct stream_watch *watch, const char *bytes, size_t length);
/* No more comes: its last line may lack its end. False: it is half an answer. */
bool stream_watch_end(struct stream_watch *watch);
