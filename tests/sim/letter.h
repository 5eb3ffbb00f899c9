/* letter: what travels between clients and the broker: an event on its way up (with what its
 * pointers point to) or an effect on its way down. */
#pragma once
#include "core/effect.h"
#include "core/event.h"

enum letter_kind {
	LETTER_EVENT,  /* up: event */
	LETTER_CLOSED, /* up: the peer sees that the connection is gone */
	LETTER_SEND,   /* down: effect */
	LETTER_LISTED, /* down: after a resumed WELCOME and its CLAIMs, nothing more is listed */
	LETTER_EOF,    /* down: the broker's side is closed */
};

struct letter {
	struct letter *next;
	enum letter_kind kind;
	uint64_t conn;
	uint64_t want; /* up, ACQUIRE: of which want; else 0 */
	union {
		struct {
			struct event event;
			struct token token; /* event.*.token and .resume point here */
			char request_id[LIMIT_REQUEST_ID_BYTES + 1];
		};
		struct effect effect;
	};
};
