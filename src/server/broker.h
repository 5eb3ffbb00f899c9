/* broker: one turn of the loop: step what is queued, write the journal, and only then let anything
 * out (I8). The order of effects is fixed here and nowhere else. */
#pragma once
#include "core/effects.h"
#include "core/party.h"
#include "server/event_queue.h"
#include "server/random_pool.h"

struct core;
struct record;
struct send_effect;
struct signal_effect;
struct trace_effect;
struct store;

enum {
	BROKER_EVENTS_MAX = 1024, /* per turn; the rest waits for the next one, in order */
	BROKER_WORK_MAX = 1024,   /* effects, and claims moved without one: the same */
	BROKER_STALL_MS = 1000,   /* a turn that begins so much too late was a stall */
	BROKER_JUMP_MS = 1000,    /* BOOTTIME - MONOTONIC that moved by so much was a suspend */
	BROKER_RETRY_MS = 1000,
	BROKER_CHECK_MS = 1000, /* between two looks whether the journal is still where it was */
};

struct broker {
	struct core *core;
	struct store *store;
	struct event_queue queue;
	struct effects effects;  /* of this turn; at start, what the restore decided */
	struct effects deferred; /* answers that promise what the journal does not have yet */
	struct random_pool random;
	struct mono_ms now; /* of this turn */
	struct wall_ms wall;
	struct mono_ms tick_at;  /* when the core wants to be asked */
	struct mono_ms retry_at; /* of a journal that failed, or MONO_NEVER */
	struct mono_ms checked;  /* .. that works: when it was looked for last */
	int64_t suspended_ms;
	bool tick_queued;
	bool durable; /* the newest commit worked: the journal has all that was decided */
	bool journal_ok, unwritable; /* what the core was told last */
	uint64_t jumps, turns, commits, commit_failures;
};

/* What carries effects out. All are called in the order of the effects, after the commit. */
struct broker_out {
	void (*send)(void *ctx, struct party to, const struct send_effect *send);
	void (*trace)(void *ctx, const struct trace_effect *trace);
	void (*signal)(void *ctx, const struct signal_effect *signal);
	void (*close)(void *ctx, struct party to);
	/* A record was appended: who watches sessions and GPUs learns from it. */
	void (*appended)(void *ctx, const struct record *record);
	void (*queue_changed)(void *ctx);
	void (*journal)(void *ctx, bool ok);
	void *ctx;
};

/* `core` and `store` are borrowed. */
void broker_init(struct broker *broker, struct core *core, struct store *store, struct mono_ms now,
		 int64_t suspended_ms);
void broker_finish(struct broker *broker);
/* Before the first turn: tells the core of a journal that cannot be written as it should. */
void broker_begin(struct broker *broker);
/* True when the machine slept or the loop stood still since `asked`, the time at which this turn
 * was to begin (no earlier than the last one began): drain the sockets, then call broker_turn with
 * how late it is by then (CASES.md R2, R8). */
bool broker_jumped(struct broker *broker, struct mono_ms asked, struct mono_ms now,
		   int64_t suspended_ms);
int64_t broker_late_ms(const struct broker *broker, struct mono_ms asked, struct mono_ms now);
enum { BROKER_IN_TIME = -1 };
/* `stalled_ms`: for how long the loop stood still before, 0 after a suspend; BROKER_IN_TIME. */
void broker_turn(struct broker *broker, struct mono_ms now, struct wall_ms wall, int64_t stalled_ms,
		 const struct broker_out *out);
/* When the next turn has to begin if nothing happens before. */
struct mono_ms broker_wake(const struct broker *broker);
