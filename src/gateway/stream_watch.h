/* stream_watch: where an answer that is passed on stands: at the beginning of a line (only there
 * may something be put between), whether it said that it is complete, and what an error at its end
 * must go on from. Looks, never changes; lines longer than 64 KiB are passed over. */
#pragma once
#include "base/buf.h"
#include "gateway/api_error.h"

struct stream_watch {
	bool in_line, long_line;
	struct buf line; /* of what has come of the present line */
	bool finished;   /* it said why it ends: what follows may be missing */
	struct api_stream_position position;
	uint64_t events; /* lines with content */
};

void stream_watch_begin(struct stream_watch *watch);
void stream_watch_finish(struct stream_watch *watch);
void stream_watch_take(struct stream_watch *watch, const char *bytes, size_t length);
