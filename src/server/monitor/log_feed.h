/* log_feed: log lines to the sessions that asked for them. */
#pragma once
#include <stdint.h>

struct endpoints;
struct log_ring;
struct log_ring_line;

/* All is borrowed. */
struct log_feed {
	const struct endpoints *endpoints;
	struct log_ring *ring; /* its subscribers are counted by those who let them in */
};

/* To all that subscribed; on_line of log_ring, `ctx` is the feed. */
void log_feed_line(void *ctx, const struct log_ring_line *line);
/* To one: the lines from the number `since` on, or, when it is 0, the newest; `limit` at most.
 * Returns how many there were. */
uint64_t log_feed_send(const struct log_feed *feed, uint64_t conn, uint64_t since, uint64_t limit);
