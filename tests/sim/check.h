/* check: judges every step and every message. A failed check ends the run by sim_fail. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

struct world;
struct event;
struct effect;
struct conn;
struct job;
struct core_config;

struct check_token {
	uint64_t hi, lo, claim, fence;
};

struct check {
	/* Highest fence in any record, in any committed one (a crash forgets the others), and
	 * before this step: the records of one step come in no order. */
	uint64_t fence_recorded, fence_committed, fence_before;
	struct check_token *tokens; /* open addressing */
	uint64_t tokens_size, token_count;
	uint64_t granted[4];   /* by class, since the core was started */
	bool ticking;          /* this step is a tick .. */
	bool accepts;          /* .. somebody accepts ..  */
	uint64_t ready;        /* .. or says so of this job's lease; 0: it does not */
	int64_t started_t;     /* the daemon's last start */
	int64_t ticked_t;      /* the last one */
	int64_t settled_t;     /* silence may not be judged before */
	int64_t idle_since_t;  /* I5: room and a waiter; INT64_MAX: no */
	int64_t config_t;      /* the last reload */
	int64_t doubt_until_t; /* till when nobody else may have the room of what was lost */
	int64_t looked_t;      /* judge_idle.c looked last */
	bool kept;             /* in this step a yield was taken back */
	bool recorded;         /* .. a claim was recorded */
	bool back_now;         /* .. somebody evicted was offered room */
	bool unheard;          /* .. a parked lease was asked to leave, and nobody was told */
	bool back;             /* .. or was in the last step that recorded any */
	bool over;             /* in this step somebody lost a place or a lease */
	/* The most that each GPU had while there may be leases from then. */
	struct {
		uint64_t vram_bytes;
		uint32_t slots;
	} most[LIMIT_GPUS];
};

void check_config(struct world *w, const struct core_config *config); /* is reloaded */
/* After each core_step: core_check, hash, and what the new effects say. */
void check_step(struct world *w, const struct event *event);
/* A committed message leaves for conn (never NULL). */
void check_sent(struct world *w, struct conn *conn, const struct effect *effect);
/* The end of a loop turn whose effects are all out. */
void check_turn(struct world *w);
/* The daemon dies; what it had not yet told is as if it had never been. */
void check_crash(struct world *w);
/* The journal is lost: who holds must have stopped when the time of doubt is over. */
void check_lost(struct world *w, int64_t in_doubt_ms);
void check_restart(struct world *w, int same_boot);
void check_idle(struct world *w); /* the end of a run: nothing is left over */
void check_show(struct world *w); /* who waits and who holds, into the trace */
void check_finish(struct world *w);
