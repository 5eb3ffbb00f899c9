/* effects: effects as messages of a session. */
#pragma once
#include "wire/route.h"

struct active_config;
struct broker;
struct endpoint;
struct endpoints;
struct position_updates;
struct process_tracker;
struct run_state;
struct send_effect;

/* All is borrowed. */
struct session_effects {
	struct endpoints *endpoints;
	const struct broker *broker;
	const struct active_config *active;
	const struct run_state *state;
	struct process_tracker *tracker; /* takes the pidfd of a session that is let in */
	struct position_updates *position_updates;
};

/* Sends it. A session that the core denies before its welcome is closed. */
void session_send_effect(const struct session_effects *effects, struct endpoint *endpoint,
			 const struct send_effect *send);
const char *session_rights_name(enum access_right rights);
