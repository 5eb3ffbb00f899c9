/* town: libbaton itself among the broker's real core and wire, in virtual time: processes that hold
 * leases through the library, connections that break, are slow or refused, a broker that crashes
 * and restores its journal, and a judge that knows when each process works. Nothing here is a model
 * of the library or of the core. */
#pragma once
#include "../journal.h"
#include "../rng.h"
#include "base/buf.h"
#include "baton/baton.h"
#include "core/config.h"
#include "core/core.h"
#include "core/effect.h"
#include "core/event.h"
#include "core/record.h"

enum { TOWN_PROCESSES = 5, TOWN_NAME_BYTES = 16 };

enum item_kind {
	ITEM_TO_BROKER, /* text on conn */
	ITEM_TO_PROCESS,
	ITEM_BROKER_SEES_END, /* of conn */
	ITEM_PROCESS_SEES_END,
	ITEM_EXIT_SEEN, /* of the process whose session is `number` */
	ITEM_SIGNAL,    /* number, to the process that lived then */
	ITEM_FAULT,
};

struct item {
	struct item *next; /* sorted by time; of one time in the order of adding */
	int64_t t;
	enum item_kind kind;
	int conn;
	unsigned process, life;
	uint64_t number;
	char *text;
};

struct conn {
	unsigned process, life;
	bool process_open, broker_open;
	char name[TOWN_NAME_BYTES]; /* after hello */
	int64_t up_t, down_t;       /* order is kept in each direction */
};

enum after_stop { THEN_CONFIRM, THEN_RELEASE, THEN_REQUEUE, THEN_EXIT };

struct process {
	unsigned index, life;
	struct baton *baton;
	struct baton_claim *claim;
	bool claim_over; /* its claim has ended: free it */
	bool dying;      /* by SIGKILL: it says nothing more */
	bool works, stopping;
	bool deaf; /* does not end by SIGTERM */
	enum after_stop then;
	int64_t stop_ms; /* what its work needs to stop */
	int64_t armed_t, stop_t, done_t, think_t, start_t;
	int stream; /* its newest connection */
	bool stream_ended;
	struct buf in;
	int64_t asked_t; /* waits since then; INT64_MAX: does not */
};

struct town {
	uint64_t seed;
	struct rng rng;
	bool trace, healed;
	bool lies; /* processes say that they have stopped when they begin to: must be seen */
	int64_t t, end_t;
	struct item *items;
	struct process processes[TOWN_PROCESSES], *current;
	struct conn *conns;
	int conn_count, conn_capacity;
	bool refuses;
	/* The broker. */
	bool up;
	struct core *core;
	struct core_config config;
	struct effects fx;
	struct journal journal;
	int64_t wake_t;
	/* What was seen. */
	uint64_t grants, breaks, lost, crashes, revokes, kills;
	int64_t wait_ms_max;
};

_Noreturn void town_fail(const struct town *town, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void town_note(const struct town *town, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
struct item *town_add(struct town *town, int64_t after_ms, enum item_kind kind);

/* broker.c */
void broker_start(struct town *town);
void broker_crash(struct town *town);
void broker_hear(struct town *town, int conn, const char *text);
void broker_see_end(struct town *town, int conn);
void broker_see_exit(struct town *town, uint64_t session);
void broker_tick(struct town *town);
void broker_finish(struct town *town);

/* streams.c: the world of libbaton. */
void streams_open(struct town *town);
void streams_deliver(struct town *town, const struct item *item);
int streams_new(struct town *town, unsigned process);
void streams_cut(struct town *town, int conn);

/* process.c */
void process_start(struct town *town, struct process *process);
void process_step(struct town *town, struct process *process);
int64_t process_next(const struct process *process);
void process_signal(struct town *town, struct process *process, int signo);
void process_finish(struct process *process);
