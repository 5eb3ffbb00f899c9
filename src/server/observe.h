/* observe: what people see of the broker: log lines, with a ring behind /logs, and a ring of
 * changes behind /v1/gpu/events. Tells whoever subscribed. */
#pragma once
#include "base/log.h"
#include "core/trace.h"
#include "wire/text.h"

/* An event's id is epoch * OBSERVE_EPOCH + number, so it rises over restarts and stays exact in
 * JavaScript for 90,000 of them. */
#define OBSERVE_EPOCH UINT64_C(100000000000)

enum {
	OBSERVE_GATHER_BYTES = 32 * 1024,
	OBSERVE_FLUSH_MS = 20, /* between two writes of a busy broker; the first line of a quiet one
				  leaves at once */
};

struct observed_line {
	uint64_t id;
	enum log_level level;
	struct wall_ms at;
	char *text; /* owned; NULL: empty row */
	size_t capacity;
};

struct observed_change {
	uint64_t id;
	struct wall_ms at;
	struct trace_effect trace;
};

struct observers {
	struct log log;
	char gathered[OBSERVE_GATHER_BYTES];
	struct mono_ms flushed;
	struct observed_line *lines;     /* LIMIT_LOG_LINES */
	struct observed_change *changes; /* LIMIT_EVENT_RING */
	uint64_t line_next;              /* id of the next line, from 1 */
	uint64_t line_oldest;            /* lines below were cleared or fell out */
	uint64_t change_first, change_next;
	/* A line for those who subscribed to lines. Not called from within itself. */
	void (*on_line)(void *ctx, const struct observed_line *line);
	void *ctx;
	bool telling;
	unsigned subscribers, line_subscribers; /* sessions that asked for changes, for lines */
};

void observe_init(struct observers *observers, enum log_level level, uint64_t epoch);
void observe_finish(struct observers *observers);
/* Writes what the log gathered, unless it did so a moment ago; returns when to ask again. */
struct mono_ms observe_flush(struct observers *observers, struct mono_ms now);
void observe_on_line(struct observers *observers,
		     void (*on_line)(void *ctx, const struct observed_line *line), void *ctx);
void observe_change(struct observers *observers, const struct trace_effect *trace,
		    struct wall_ms at);
/* NULL when the ring does not have it (yet, or any more). */
const struct observed_change *observe_change_at(const struct observers *observers, uint64_t id);
uint64_t observe_change_oldest(const struct observers *observers);
const struct observed_line *observe_line_at(const struct observers *observers, uint64_t id);
void observe_clear_lines(struct observers *observers);
