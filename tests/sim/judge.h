/* judge: test oracles, which see the run from outside: the messages that were sent, the records
 * that were committed and what clients really do, never the core's ledger. Each has a name by which
 * it can be switched off, so that a fault can be shown to be seen by one alone. The invariants in
 * check*.c are always on. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct world;
struct job;
struct effect;
struct event;
struct claim_record;
struct outside;

/* X(code, name, on by default) */
#define JUDGE_TABLE(X)                                                                             \
	X(JUDGE_TOLD, "told", 1)         /* nobody waits longer than he was first told */          \
	X(JUDGE_RAISED, "raised", 1)     /* .. and what was told never becomes more */             \
	X(JUDGE_CONSERVE, "conserve", 1) /* nobody waits for 1 s whose need is free */             \
	X(JUDGE_SHARE, "share", 1)       /* each class has its share while it waits */             \
	X(JUDGE_STARVE, "starve", 1)     /* who is possible is served, told or not */              \
	X(JUDGE_COMEBACK, "comeback", 1) /* nobody evicted is back there before its head */        \
	X(JUDGE_EVICT, "evict", 1)       /* the lowest class, then the longest idle by load */     \
	X(JUDGE_KEEP, "keep", 1)         /* a yield taken back is told, and revokes nobody */      \
	X(JUDGE_TWO, "two", 1)           /* nobody is asked on two GPUs for one claim */           \
	X(JUDGE_ROOM, "room", 1)         /* no room is free inside and used outside */             \
	X(JUDGE_HOLD, "hold", 1)         /* a hold ends when it is somebody's turn */              \
	X(JUDGE_LOAD, "load", 1)         /* loading ends when it must, and begins the turn */      \
	X(JUDGE_INSIDE, "inside", 1)     /* places of a host: who is in, who waits, who goes */    \
	X(JUDGE_ORDER, "order", 1)       /* who may be asked for whom, and who comes first */      \
	X(JUDGE_SWITCH, "switch", 1)     /* who uses it goes before it leaves, not for ever */

enum judge {
#define X(code, name, on) code,
	JUDGE_TABLE(X)
#undef X
		JUDGE_COUNT
};
const char *judge_name(int judge);
uint32_t judge_defaults(void);
/* Names, with commas between; 0: one is unknown. */
uint32_t judge_mask(const char *names);
bool judge_is_on(const struct world *w, enum judge judge);
/* The run ends with this judge's name in front. */
_Noreturn void judge_fail(struct world *w, enum judge judge, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* judge_told.c: the clock stops for all; a wait begins (its record says queued), goes on, ends in
 * an offer, ends in none. */
void told_taint(struct world *w);
void told_begin(struct world *w, struct job *job, int64_t begin_t);
void told_turn(struct world *w);
void told_end(struct world *w, struct job *job);
void told_drop(struct job *job);

/* judge_share.c, judge_idle.c: the end of a loop turn. */
void share_turn(struct world *w);
void idle_turn(struct world *w);
/* judge_evict.c: a lease is asked to leave for memory; a claim is offered room. */
void evict_asked(struct world *w, struct job *job, uint64_t for_lease, bool in_this_step);
void evict_record(struct world *w, struct job *job, const struct claim_record *rec, bool ends);
void evict_offered(struct world *w, struct job *job);
void evict_step(struct world *w); /* after all effects of a step */
void evict_turn(struct world *w);
/* judge_switch.c: when a resident may be asked for the head, `due`: if it had to wait until its
 * class was due; it is asked; the end of a turn. */
int64_t switch_asked_at(struct world *w, const struct job *resident, const struct job *head,
			bool due);
void switch_asked(struct world *w, const struct job *resident, const struct job *head);
void switch_turn(struct world *w, const struct outside *outside);
int64_t switch_ready_ms(const struct job *job); /* its memory alone is kept, and is there */
bool switch_runs(struct world *w, const struct job *resident); /* somebody computes with it */
/* judge_yield.c */
void yield_sent(struct world *w, struct job *job, const struct effect *fx);
void yield_record(struct world *w, struct job *job, const struct claim_record *rec, bool ends);
/* After all effects of a step. `starts`: of a broker that starts, whom nobody hears yet. */
void yield_step(struct world *w, bool starts);
void yield_turn(struct world *w);
/* judge_load.c */
void load_record(struct world *w, struct job *job, const struct claim_record *rec, bool ends);
void load_turn(struct world *w);
/* judge_inside.c */
void inside_record(struct world *w, struct job *job, const struct claim_record *rec, bool ends);
void inside_sent(struct world *w, struct job *job, const struct effect *fx);
void inside_step(struct world *w, const struct event *event);
void inside_turn(struct world *w);
/* By their newest records others run inside it. */
bool inside_anybody(struct world *w, const struct job *job);
