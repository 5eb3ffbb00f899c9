/* broker: the simulated daemon around the real core. Steps what arrived, commits, and only then
 * sends; crashes, stalls and restarts. */
#pragma once
#include "core/config.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/record.h"
#include "core/view.h"
#include "envelope.h"
#include "twin.h"

struct world;
struct conn;

enum broker_state { BROKER_UP, BROKER_STALLED, BROKER_DOWN };
enum crash_point { CRASH_NONE, CRASH_BEFORE_COMMIT, CRASH_AFTER_COMMIT, CRASH_WHILE_SENDING };

struct broker {
	struct core *core;
	enum broker_state state;
	struct core_config config;
	struct effects fx;
	size_t seen;     /* effects that were checked and hashed */
	size_t appended; /* effects whose records lie with the journal */
	struct envelope *inbox, **inbox_tail;
	int64_t turn_t;      /* next planned turn; INT64_MAX: none */
	struct mono_ms wake; /* what the last step asked for */
	enum crash_point crash;
	bool clock_jump;       /* tell the core first .. */
	int64_t stalled_ms;    /* .. and for how long it stood still */
	bool disk_full;        /* commits fail past the reserve */
	unsigned reserve;      /* commits that still succeed */
	bool io_error;         /* the next commit fails */
	bool commit_failed;    /* the last one did */
	bool journal_told_bad; /* what the core was told last */
	int64_t stall_begin_t;
	uint64_t turns, steps;
	struct twin twin;
};

void broker_start(struct world *w); /* the first start of a run */
void broker_arrive(struct world *w, struct envelope *envelope);
/* An event of the machine itself: no connection. Fill the event of the returned envelope first. */
struct envelope *broker_event(struct world *w, enum event_type type);
void broker_post(struct world *w, struct envelope *envelope);
void broker_wake(struct world *w); /* a turn now, though nothing arrived */
void broker_turn(struct world *w, int64_t t);
void broker_stall(struct world *w, int64_t stall_ms);
void broker_resume(struct world *w);
void broker_crash(struct world *w, bool reboot);
void broker_restart(struct world *w, bool same_boot);
void broker_finish(struct world *w);
struct mono_ms broker_now(const struct world *w);
