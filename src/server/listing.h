/* listing: status, written in slices of a few milliseconds, so that ten thousand waiters never
 * stall the loop. Each row is true in the moment in which it is written. */
#pragma once
#include "base/list.h"
#include "core/view.h"
#include "wire/render.h"

struct server;

enum {
	LISTING_SLICE_MS = 3,       /* of one turn, for all listings together */
	LISTING_ROWS_PER_LOOK = 16, /* rows between two looks at the clock */
	LISTING_LAG_MS = 20,        /* how often a reader that lags is looked at */
	LISTING_PENDING_BYTES = 256 * 1024,
};

struct listings {
	struct list all; /* struct listing.link */
	unsigned count;
};

void listings_init(struct listings *listings);
void listings_finish(struct listings *listings);
/* For an HTTP exchange with a ENDPOINT_LISTING, or a session. At most `limit` waiting rows; of a
 * site's session its own rows alone. False: this connection has one already. */
bool listing_begin(struct server *server, uint64_t conn, bool as_message, uint64_t limit);
/* A slice; the listing that got it goes to the end. Returns when there is more to do. */
struct mono_ms listings_step(struct server *server);
void listing_drop(struct listings *listings, uint64_t conn); /* no harm when there is none */
