/* exchanges: requests that become one event and wait for the effect that answers them: lock,
 * unlock, renew, and the operators' acts; and what a session says beside its connection. */
#pragma once

struct access_setup;
struct broker;
struct endpoints;
struct position_updates;
struct request_context;
struct run_state;
struct wire_context;

/* All is borrowed. */
struct exchanges {
	struct endpoints *endpoints;
	struct broker *broker;
	const struct wire_context *wire;
	const struct run_state *state;
	const struct access_setup *access;
	struct position_updates *position_updates;
};

/* From now on it serves the kinds of waiting exchanges. */
void exchanges_begin(struct exchanges *exchanges);

void route_lock(struct exchanges *exchanges, const struct request_context *context);
void route_unlock(struct exchanges *exchanges, const struct request_context *context);
void route_renew(struct exchanges *exchanges, const struct request_context *context);
void route_session_alive(struct exchanges *exchanges, const struct request_context *context);
void route_admin(struct exchanges *exchanges, const struct request_context *context);
