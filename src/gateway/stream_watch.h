/* stream_watch: where an answer that is passed on stands: between two events (only there may
 * something be put between, or the rest be left out), whether it said that it is complete, and what
 * an error at its end must go on from. Looks, never changes; in constant memory, however long an
 * event is. */
#pragma once
#include "gateway/api_error.h"
#include "gateway/event_scan.h"

enum stream_line {
	LINE_EMPTY,   /* nothing of it has come */
	LINE_NAME,    /* as much as is there of `data:` */
	LINE_DATA,    /* behind that */
	LINE_OTHER,   /* another field */
	LINE_COMMENT, /* begins with a colon */
};

/* What the present event says, counted once it is whole. */
struct stream_event {
	bool finished, failed;
	bool names_error, has_choices; /* a text for an error: "none" to some, beside an answer */
	bool choice_ends;              /* the choice in hand says why it ends */
	unsigned choice;               /* its index */
	uint64_t begun, ended;         /* choices that it speaks of; that end with it: bits */
	int64_t sequence;              /* -1: none */
	bool background;
	char response_id[API_RESPONSE_ID_BYTES];
};

struct stream_watch {
	enum api_wire wire;
	enum stream_line line;
	unsigned name_length;
	bool in_event; /* a line of one has come, its end has not */
	bool after_cr; /* a line feed may follow that belongs to it */
	struct event_scan scan;
	struct stream_event event;
	unsigned choices_due;  /* that were asked for; 0: not said. Set by the owner */
	uint64_t begun, ended; /* choices, as above; what lies beyond 64 counts for the last */
	bool complete;         /* it said so of the whole */
	bool finished;         /* it said why all of it ends: what follows may be missing */
	bool failed;           /* it said that it failed */
	bool background;       /* a response that is made even if nobody reads on */
	struct api_stream_position position;
};

void stream_watch_begin(struct stream_watch *watch, enum api_wire wire);
/* How many of these bytes, from the first one, end with an event or a comment; 0: none ends here.
 */
size_t stream_watch_take(struct stream_watch *watch, const char *bytes, size_t length);
/* No more comes: its last line may lack its end. False: it is half an answer. */
bool stream_watch_end(const struct stream_watch *watch);
