/* event_scan: the members near the top of a stream event's JSON, one by one as they arrive, in
 * constant memory and however the text is cut. Judges nothing: of what is no JSON it finds
 * something or nothing. Numbers and literals count as words, so `[DONE]` is a list of one. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EVENT_DEPTH = 3, EVENT_PATH_BYTES = 48, EVENT_VALUE_BYTES = 512 };

enum event_member_type { EVENT_TEXT, EVENT_WORD, EVENT_OPENED, EVENT_CLOSED /* object or list */ };

struct event_member {
	enum event_member_type type;
	const char *path;  /* "choices[].index"; "": the whole */
	const char *value; /* of a text or a word: as it stands, borrowed, cut at the limit */
	size_t length;     /* of all of it */
};

typedef void event_found(void *ctx, const struct event_member *member);

enum event_scan_state { EVENT_BETWEEN, EVENT_IN_TEXT, EVENT_IN_WORD };

/* All zero to begin, and again for the next event. */
struct event_scan {
	enum event_scan_state state;
	bool key_next; /* the next text is a key */
	bool escaped;
	unsigned depth;
	bool lists[EVENT_DEPTH + 1];
	size_t inner[EVENT_DEPTH + 1]; /* of the path: within what is open there */
	size_t path_length, value_length;
	char path[EVENT_PATH_BYTES];
	char value[EVENT_VALUE_BYTES + 1];
};

void event_scan_take(struct event_scan *scan, const char *bytes, size_t length, event_found *found,
		     void *ctx);
