/* worker: tabs, or programs, that answer requests over a WebSocket of theirs: what each offers, and
 * the requests that it has. Asked as net/upstream.h asks servers, with the same callbacks. Nothing
 * that a worker says is trusted but what it offers: more of an answer than may be on its way, an
 * answer that was not asked for, silence or a request that it does not stop end it. */
#pragma once
#include <stdint.h>

#include "base/list.h"
#include "base/mono.h"

struct catalog;
struct log;
struct model_server;
struct net;
struct upstream_handlers;
struct worker;
struct worker_message;
struct worker_request;

struct workers {
	struct net *net;
	struct log *log;
	struct catalog *catalog;
	struct list all; /* struct worker */
	unsigned count;
	uint64_t next_worker, next_request;
	int64_t stop_ms_max; /* from a cancel to its end */
	/* Somebody may be asked who could not be before, or not any more. */
	void (*on_change)(void *ctx);
	/* One is going: its requests have ended, and nothing may keep its models. */
	void (*on_leave)(void *ctx, const struct model_server *server);
	void *ctx;
};

void workers_init(struct workers *workers);
void workers_finish(struct workers *workers); /* calls nobody back */
/* A session that may serve: for one principal, or (NULL) everybody. 0 or
 * -ERR_TOO_MANY_CONNECTIONS. */
int worker_open(struct workers *workers, uint64_t conn, const char *principal,
		const struct worker_message *hello);
void worker_say(struct workers *workers, uint64_t conn, const char *text, size_t length);
void worker_gone(struct workers *workers, uint64_t conn);
void workers_tick(struct workers *workers, struct mono_ms now);
struct mono_ms workers_next(const struct workers *workers);

/* As upstream_start and what follows it there; `request->request` is filled in. A body begins with
 * the first worker_write. on_end before on_head with ERR_UPSTREAM_UNREACHABLE or ERR_OUTRANKED:
 * somebody else may be asked. */
uint64_t worker_start(struct worker *worker, struct worker_request *request,
		      const struct upstream_handlers *handlers, void *ctx);
/* How much it may be sent now; 0: on_writable comes. */
size_t worker_room(struct worker *worker, uint64_t request);
/* At most so much. */
bool worker_write(struct worker *worker, uint64_t request, const char *bytes, size_t length);
void worker_write_end(struct worker *worker, uint64_t request);
void worker_pause(struct worker *worker, uint64_t request, bool paused);
void worker_cancel(struct worker *worker, uint64_t request);
