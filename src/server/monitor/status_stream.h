/* status_stream: status, written in slices of a few milliseconds, so that ten thousand waiters
 * never stall the loop. Each row is true in the moment in which it is written. */
#pragma once
#include <stdint.h>

#include "base/list.h"
#include "base/mono.h"

struct endpoint_ops;
struct monitor;

enum {
	LISTING_SLICE_MS = 3,       /* of one turn, for all streams together */
	LISTING_ROWS_PER_LOOK = 16, /* rows between two looks at the clock */
	LISTING_LAG_MS = 20,        /* how often a reader that lags is looked at */
	LISTING_PENDING_BYTES = 256 * 1024,
};

struct status_streams {
	const struct monitor *monitor; /* borrowed */
	struct list all;               /* struct status_stream.link */
	unsigned count;
};

void status_streams_init(struct status_streams *streams, const struct monitor *monitor);
void status_streams_finish(struct status_streams *streams);
/* For an HTTP exchange with an ENDPOINT_STATUS, or a session. At most `limit` waiting rows; of a
 * site's session its own rows alone. False: this connection has one already. */
bool status_stream_begin(struct status_streams *streams, uint64_t conn, bool as_message,
			 uint64_t limit);
/* A slice; the stream that got it goes to the end. Returns when there is more to do. */
struct mono_ms status_streams_step(struct status_streams *streams);
void status_stream_drop(struct status_streams *streams,
			uint64_t conn); /* no-op when there is none */

extern const struct endpoint_ops status_stream_ops; /* of struct status_streams */
