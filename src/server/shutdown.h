/* shutdown: how the broker stops: everybody is told, and what was said last gets out. */
#pragma once
#include "base/mono.h"

struct broker;
struct endpoints;
struct inference;
struct log;
struct run_state;
struct sockets;

/* The pointers are borrowed. */
struct shutdown {
	struct endpoints *endpoints;
	struct inference *inference;
	struct broker *broker;
	struct run_state *state;
	struct sockets *sockets;
	struct log *log;
	struct mono_ms until;
	bool over; /* the loop may end */
};

/* Leases and places stay in the journal for the next start. No-op when it began before. */
void shutdown_begin(struct shutdown *shutdown, struct mono_ms now);
/* Whether all is out; returns when to look again. */
struct mono_ms shutdown_step(struct shutdown *shutdown, struct mono_ms now);
