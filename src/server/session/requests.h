/* requests: what a session that said hello may say, and the events that its messages become. */
#pragma once

struct endpoint;
struct endpoints;
struct event_queue;
struct queued_event;
struct session_answers;

/* All is borrowed. */
struct session_requests {
	struct endpoints *endpoints;
	struct event_queue *queue;
	const struct session_answers *answers;
};

/* A well-formed message; one that the session may not send is denied. Takes `queued`. */
void session_said(const struct session_requests *requests, struct endpoint *endpoint,
		  struct queued_event *queued);
