/* lock_request: HTTP exchanges that wait for the effect that answers them: a lock, an unlock, an
 * operator's act. */
#pragma once
#include "core/send.h"
#include "server/endpoints.h"

struct server;

/* Answers with the effect and shuts the endpoint, or keeps it until a grant has arrived. Does
 * nothing for an effect that is no answer. */
void lock_request_answer(void *ctx, struct endpoint *endpoint, const struct send_effect *send);
/* Answers that the broker stops. Shuts the endpoint. */
void lock_request_drain(void *ctx, struct endpoint *endpoint);
/* Tells the core that a lock's connection closed; `undelivered`: before all of a grant arrived. */
void lock_request_closed(struct server *server, const struct endpoint *endpoint, bool undelivered);

extern const struct endpoint_ops lock_request_ops, lock_answered_ops;
extern const struct endpoint_ops lock_stream_ops; /* lock_stream.c */
