/* log_ring: the log, and a ring of its newest lines behind /logs. Calls whoever subscribed. */
#pragma once
#include "base/log.h"

enum {
	LOG_RING_GATHER_BYTES = 32 * 1024,
	LOG_RING_FLUSH_MS = 20, /* between two writes of a busy broker; the first line of a quiet
				   one leaves at once */
};

struct log_ring_line {
	uint64_t id;
	enum log_level level;
	struct wall_ms at;
	char *text; /* owned; NULL: empty row */
	size_t capacity;
};

struct log_ring {
	struct log log;
	char gathered[LOG_RING_GATHER_BYTES];
	struct mono_ms flushed;
	struct log_ring_line *lines; /* LIMIT_LOG_LINES */
	uint64_t next;               /* id of the next line, from 1 */
	uint64_t oldest;             /* lines below were cleared or fell out */
	void (*on_line)(void *ctx, const struct log_ring_line *line);
	void *ctx;
	bool telling;
	unsigned subscribers; /* sessions that asked for lines */
};

void log_ring_init(struct log_ring *ring, enum log_level level);
void log_ring_finish(struct log_ring *ring);
/* Writes what the log gathered, unless it did so a moment ago; returns when to ask again. */
struct mono_ms log_ring_flush(struct log_ring *ring, struct mono_ms now);
/* Called for each line, but not for one that is logged from within the call. */
void log_ring_on_line(struct log_ring *ring,
		      void (*on_line)(void *ctx, const struct log_ring_line *line), void *ctx);
/* NULL when the ring does not have it (yet, or any more). */
const struct log_ring_line *log_ring_at(const struct log_ring *ring, uint64_t id);
void log_ring_clear(struct log_ring *ring);
