/* sessions: WebSocket and Unix sessions from hello to close: joins the parts of this room for net,
 * which brings messages, and for the kinds of endpoints, which bring effects. */
#pragma once
#include "server/session/answers.h"
#include "server/session/effects.h"
#include "server/session/greeting.h"
#include "server/session/requests.h"

struct endpoints;
struct event_queue;
struct process_tracker;
struct run_state;
struct wire_context;

/* The pointers are borrowed. */
struct sessions {
	struct endpoints *endpoints;
	struct event_queue *queue;
	const struct wire_context *wire;
	const struct run_state *state;
	const struct process_tracker *tracker;
	struct greeting greeting;
	struct session_requests requests;
	struct session_answers answers;
	struct session_effects effects;
};

/* From now on it serves the kinds of sessions. */
void sessions_begin(struct sessions *sessions);
/* The callback of net. */
void sessions_on_message(struct sessions *sessions, uint64_t conn, const char *text, size_t length);
