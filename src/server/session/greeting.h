/* greeting: who may open a session: from its connection to its hello. */
#pragma once
#include <stdint.h>

#include "base/mono.h"

struct access_setup;
struct broker;
struct endpoint;
struct endpoints;
struct log;
struct net_peer;
struct queued_event;
struct request_context;
struct run_state;
struct site_keeper;

/* All is borrowed. */
struct greeting {
	struct endpoints *endpoints;
	struct broker *broker;
	struct access_setup *access; /* its throttles count wrong secrets */
	const struct site_keeper *sites;
	const struct run_state *state;
	struct log *log;
};

/* A line session: the kernel says who it is. */
void greeting_open(const struct greeting *greeting, uint64_t conn, const struct net_peer *peer);
/* A WebSocket: Host and Origin were judged; a refusal is told after the handshake, because a page
 * cannot read the status of a refused one. */
void greeting_open_websocket(const struct greeting *greeting,
			     const struct request_context *context);
/* Its first message, well formed: queues EVENT_SESSION_OPEN or turns it away. Takes `queued`. */
void greeting_hello(const struct greeting *greeting, struct endpoint *endpoint,
		    struct queued_event *queued);
/* Closes those that did not say hello in time (CASES.md C9). */
void greeting_expire(struct endpoints *endpoints, struct mono_ms now);
/* When greeting_expire has work; MONO_NEVER: none. */
struct mono_ms greeting_wake(const struct endpoints *endpoints);
