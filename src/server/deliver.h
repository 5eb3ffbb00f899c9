/* deliver: carries effects out: answers, messages, signals. */
#pragma once
#include "base/mono.h"
#include "core/party.h"

struct broker_out;
struct endpoints;
struct inference;
struct journal_watch;
struct position_updates;
struct process_tracker;
struct send_effect;
struct traces;

/* The pointers are borrowed. */
struct deliver {
	struct endpoints *endpoints;
	struct inference *inference;
	struct process_tracker *tracker;
	struct position_updates *position_updates;
	const struct traces *traces;
	const struct journal_watch *journal;
	struct mono_ms keepalive_at; /* the next comment to streams */
};

/* The calls of broker_out. */
struct broker_out deliver_out(struct deliver *deliver);
/* A SEND_QUEUED that position_updates.c found due; `ctx` is struct deliver. */
void deliver_place(void *ctx, struct party to, const struct send_effect *queued);
/* A comment line to every stream now and then, so that proxies keep it open; returns when to call
 * again. */
struct mono_ms deliver_keepalive(struct deliver *deliver, struct mono_ms now);
