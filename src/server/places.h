/* places: who is told about its place in the queue: claims that wait on a session or a lock stream.
 * A `queued` only when its position or what it is guaranteed changed, about one a second for each
 * at most, and each change within a second: the two intervals together stay below it. */
#pragma once
#include "base/hash.h"
#include "base/list.h"
#include "core/send.h"
#include "core/view.h"

enum {
	PLACES_INTERVAL_MS = 800, /* from one `queued` of a claim to its next */
	PLACES_SWEEP_MS = 150,    /* from one look at all claims to the next */
	PLACES_PER_TURN = 128,
	PLACES_UNTOLD = -1, /* instead of a position */
};

struct places_told {
	int64_t position;       /* PLACES_UNTOLD: nothing yet */
	struct mono_ms promise; /* as core_promise gives it */
};

struct places {
	struct hash by_claim;
	struct list all;         /* struct place.link */
	struct list *cursor;     /* next to look at in this sweep; NULL: no sweep runs */
	struct mono_ms sweep_at; /* the next sweep begins no sooner */
	bool dirty;              /* positions may have changed since the last sweep began */
};

void places_init(struct places *places);
void places_finish(struct places *places);
/* The claim was told so much at `now`; from here on it is told changes. */
void places_watch(struct places *places, uint64_t claim, struct party to, uint64_t ref,
		  struct places_told said, struct mono_ms now);
void places_forget(struct places *places, uint64_t claim); /* no harm when unknown */
/* Looks at the next few claims and calls `tell` with a MSG_QUEUED for each that moved. */
void places_step(struct places *places, const struct core *core, struct mono_ms now,
		 void (*tell)(void *ctx, struct party to, const struct send_effect *queued),
		 void *ctx);
/* When places_step has work; MONO_NEVER: none. */
struct mono_ms places_wake(const struct places *places, struct mono_ms now);
