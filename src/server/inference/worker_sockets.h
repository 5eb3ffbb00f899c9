/* worker_sockets: who may answer requests: the WebSockets of workers, from their connection to
 * their hello; what comes after it is the gateway's. */
#pragma once
#include "base/mono.h"

struct access_setup;
struct endpoints;
struct inference;
struct request_context;
struct run_state;

/* All is borrowed. */
struct worker_sockets {
	struct endpoints *endpoints;
	struct access_setup *access; /* its throttles count wrong secrets */
	struct inference *inference;
	const struct run_state *state;
};

/* From now on it serves the endpoints of workers. */
void worker_sockets_begin(struct worker_sockets *sockets);
/* The route: a WebSocket, whose Host and Origin were judged. */
void worker_sockets_open(struct worker_sockets *sockets, const struct request_context *context);
/* Closes those that did not say hello in time; when it has work again, or MONO_NEVER. */
struct mono_ms worker_sockets_step(struct worker_sockets *sockets, struct mono_ms now);
