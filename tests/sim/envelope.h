/* envelope: what travels between clients and the broker: an event on its way up (with what its
 * pointers point to) or an effect on its way down. */
#pragma once
#include "core/effect.h"
#include "core/event.h"

enum envelope_kind {
	ENVELOPE_EVENT,  /* up: event */
	ENVELOPE_CLOSED, /* up: the peer sees that the connection is gone */
	ENVELOPE_SEND,   /* down: effect */
	ENVELOPE_LISTED, /* down: after a resumed WELCOME and its CLAIMs, nothing more is listed */
	ENVELOPE_EOF,    /* down: the broker's side is closed */
};

struct envelope {
	struct envelope *next;
	enum envelope_kind kind;
	uint64_t conn;
	uint64_t job; /* up, ACQUIRE: of which job; else 0 */
	union {
		struct {
			struct event event;
			struct token token; /* event.*.token and .resume point here */
			char request_id[LIMIT_REQUEST_ID_BYTES + 1];
		};
		struct effect effect;
	};
};
