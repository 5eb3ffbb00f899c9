/* position_updates: who is told about its place in the queue: claims that wait on a session or a
 * lock stream. A `queued` only when its position or what it is guaranteed changed, about one a
 * second for each at most, and each change within a second: the two intervals together stay below
 * it. */
#pragma once
#include "base/hash.h"
#include "base/list.h"
#include "base/mono.h"
#include "core/party.h"

struct core;
struct send_effect;

enum {
	POSITION_UPDATES_INTERVAL_MS = 800, /* from one `queued` of a claim to its next */
	POSITION_UPDATES_SWEEP_MS = 150,    /* from one look at all claims to the next */
	POSITION_UPDATES_PER_TURN = 128,
	POSITION_UPDATES_UNTOLD = -1, /* instead of a position */
};

struct position_updates_told {
	int64_t position;       /* POSITION_UPDATES_UNTOLD: nothing yet */
	struct mono_ms promise; /* as core_promise gives it */
};

struct position_updates {
	struct hash by_claim;
	struct list all;         /* struct position_update.link */
	struct list *cursor;     /* next to look at in this sweep; NULL: no sweep runs */
	struct mono_ms sweep_at; /* the next sweep begins no sooner */
	bool dirty;              /* positions may have changed since the last sweep began */
};

void position_updates_init(struct position_updates *updates);
void position_updates_finish(struct position_updates *updates);
/* The claim was told so much at `now`; from here on it is told changes. */
void position_updates_watch(struct position_updates *updates, uint64_t claim, struct party to,
			    uint64_t ref, struct position_updates_told said, struct mono_ms now);
/* `send` went to `to`: notes what it says of the claim's place. `position` is that of a `queued`,
 * or POSITION_UPDATES_UNTOLD. A session that came back with a waiting claim has not heard it yet.
 */
void position_updates_sent(struct position_updates *updates, const struct core *core,
			   struct party to, const struct send_effect *send, int64_t position,
			   struct mono_ms now);
void position_updates_forget(struct position_updates *updates,
			     uint64_t claim); /* no-op when unknown */
/* Looks at the next few claims and calls `tell` with a SEND_QUEUED for each that moved. */
void position_updates_step(
	struct position_updates *updates, const struct core *core, struct mono_ms now,
	void (*tell)(void *ctx, struct party to, const struct send_effect *queued), void *ctx);
/* When position_updates_step has work; MONO_NEVER: none. */
struct mono_ms position_updates_wake(const struct position_updates *updates, struct mono_ms now);
