/* timeline: who waited and who held, and when, as the broker's events and its status tell it. Pure:
 * all times are the broker's wall clock in ms. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum {
	TIMELINE_KEPT_MS = 3600 * 1000, /* what ended before is forgotten */
	TIMELINE_SPANS_MAX = 8192,      /* the oldest give way */
	TIMELINE_NAME_BYTES = 132,
	TIMELINE_NAMES_MAX = 64,
};

/* What is drawn over what when both fall into one cell: the last wins. */
enum span_state {
	SPAN_NONE,
	SPAN_WAITING,
	SPAN_DRAINING,
	SPAN_LOADING,
	SPAN_HOLDING,
	SPAN_YIELDING,
	SPAN_STOPPING,
	SPAN_STATE_COUNT
};

struct span {
	uint64_t claim;
	enum span_state state;
	int64_t from_ms, to_ms; /* to: INT64_MAX while it lasts */
	char name[TIMELINE_NAME_BYTES];
};

struct timeline {
	struct span *spans; /* owned, in the order in which they began */
	size_t count, capacity;
	uint64_t last_event;
};

void timeline_finish(struct timeline *timeline);
/* What one event changes. Events of other kinds are ignored. */
void timeline_event(struct timeline *timeline, const json_t *event);
/* Puts right what events did not tell: claims that the status has are open, others are over. */
void timeline_status(struct timeline *timeline, const json_t *status);
/* Names that did something after `from_ms`, each once: holders, waiters, and what was over last.
 * Pointers into `timeline`; returns how many, at most `max` and TIMELINE_NAMES_MAX. */
size_t timeline_names(const struct timeline *timeline, int64_t from_ms, const char **ret_names,
		      size_t max);
/* The band of one name: `width` cells from `from_ms` to `to_ms`, with styles. */
void timeline_band(const struct timeline *timeline, const char *name, int64_t from_ms,
		   int64_t to_ms, unsigned width, bool utf8, struct buf *out);
/* [{"claim":5,"id":"tab","state":"holding","from":..,"to":..}]; without `to` it lasts. The caller
 * owns it.
 */
json_t *timeline_json(const struct timeline *timeline);
/* "2025-12-22T23:43:21.000Z" in ms; -1: it is no time. */
int64_t timeline_parse_time(const char *text);
