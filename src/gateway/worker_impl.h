/* worker_impl: private to worker.c and bridge_*.c. */
#pragma once
#include "base/list.h"
#include "base/mono.h"

struct bridge_socket;
struct bridge_work;
struct model_server;
struct text;
struct upstream_end;
struct upstream_handlers;
struct worker_request;
struct workers;

struct worker {
	struct list in_workers;
	struct workers *workers;
	struct model_server *server;
	uint64_t conn;
	struct list works; /* struct work */
	uint64_t body_ahead;
	unsigned pings; /* since it was heard */
	struct mono_ms ping_at;
	const struct bridge_socket *bridge; /* it speaks as the predecessor's; NULL: it does not */
	char *bridge_model;                 /* as it calls its own; NULL: not said */
};

/* A request that it has. */
struct work {
	struct list in_worker;
	uint64_t number;
	const struct upstream_handlers *handlers; /* NULL: cancelled */
	void *ctx;
	bool begun, paused, full;
	uint64_t ahead, taken; /* of the answer: on its way, at most; to be given back by `more` */
	struct mono_ms due;    /* it must have stopped */
	struct bridge_work *bridge; /* of a worker that speaks so; owned, else NULL */
};

/* NULL: there are too many. It offers nothing yet. */
struct worker *worker_create(struct workers *workers, uint64_t conn, const char *principal,
			     const char *id);
struct work *worker_work_of(const struct worker *worker, uint64_t number);
/* Its place is free; nobody is told. */
void worker_free_work(struct worker *worker, struct work *work);
/* The same, and whoever waits for its answer hears how it ended. Takes it. */
void worker_end_work(struct worker *worker, struct work *work, const struct upstream_end *end);
/* It broke a rule: what it says from here on is not heard. */
void worker_turn_away(struct worker *worker, const char *what);
void worker_send_text(const struct worker *worker, const struct text *text);
/* Its answer begins. */
void worker_begin_answer(struct work *work, int status, const char *content_type);
