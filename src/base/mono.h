/* mono: the two kinds of time, as two types, so that the compiler refuses to mix them.
 * `struct mono_ms` is CLOCK_MONOTONIC milliseconds: every deadline, key and duration. It stops in
 * suspend and means nothing after a reboot. `struct wall_ms` is for people and files only and is
 * never compared. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct mono_ms {
	int64_t v;
};
struct wall_ms {
	int64_t v;
};

#define MONO_NEVER ((struct mono_ms){INT64_MAX})
#define MONO_PAST  ((struct mono_ms){INT64_MIN}) /* before all others: it never happened */

/* t + d_ms, clamped: a deadline that would overflow never comes (cf. libuv's timer.c). What is
 * never, or never was, stays so. */
static inline struct mono_ms mono_after(struct mono_ms t, int64_t d_ms)
{
	int64_t sum;

	if (t.v == INT64_MAX || t.v == INT64_MIN)
		return t;

	if (__builtin_add_overflow(t.v, d_ms, &sum))
		return d_ms < 0 ? MONO_PAST : MONO_NEVER;
	return (struct mono_ms){sum};
}

/* a - b in ms, clamped. */
static inline int64_t mono_since(struct mono_ms a, struct mono_ms b)
{
	int64_t diff;

	return __builtin_sub_overflow(a.v, b.v, &diff) ? (a.v < b.v ? INT64_MIN : INT64_MAX) : diff;
}

static inline bool mono_before(struct mono_ms a, struct mono_ms b)
{
	return a.v < b.v;
}

/* A deadline d has come once now >= d. */
static inline bool mono_due(struct mono_ms d, struct mono_ms now)
{
	return d.v <= now.v;
}

static inline struct mono_ms mono_min(struct mono_ms a, struct mono_ms b)
{
	return a.v < b.v ? a : b;
}

static inline struct mono_ms mono_max(struct mono_ms a, struct mono_ms b)
{
	return a.v > b.v ? a : b;
}

/* Of two durations. */
static inline int64_t ms_longer(int64_t a_ms, int64_t b_ms)
{
	return a_ms > b_ms ? a_ms : b_ms;
}

static inline int64_t ms_shorter(int64_t a_ms, int64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}
