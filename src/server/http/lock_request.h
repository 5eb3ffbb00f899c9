/* lock_request: HTTP exchanges that wait for the effect that answers them: a lock, an unlock, an
 * operator's act. */
#pragma once
#include <stdbool.h>

struct endpoint;
struct endpoint_ops;
struct exchanges;
struct send_effect;

/* Answers with the effect and shuts the endpoint, or keeps it until a grant has arrived. Does
 * nothing for an effect that is no answer. */
void lock_request_answer(const struct exchanges *exchanges, struct endpoint *endpoint,
			 const struct send_effect *send);
/* Answers that it is over, and why. Shuts the endpoint. */
void lock_request_refuse(const struct exchanges *exchanges, struct endpoint *endpoint, int err);
/* Tells the core that a lock's connection closed; `undelivered`: before all of a grant arrived. */
void lock_request_closed(const struct exchanges *exchanges, const struct endpoint *endpoint,
			 bool undelivered);

/* Of struct exchanges. */
extern const struct endpoint_ops lock_request_ops, lock_answered_ops;
extern const struct endpoint_ops lock_stream_ops; /* lock_stream.c */
