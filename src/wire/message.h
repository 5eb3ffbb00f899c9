/* message: the session protocol on the broker's side, the same for WebSocket text frames and lines
 * on the Unix socket: what clients say becomes events, what the core sends becomes text. The
 * client's side is client_encode.h and client_decode.h. docs/protocol.md has every field. */
#pragma once
#include "core/send.h"
#include "core/view.h"
#include "wire/about.h"
#include "wire/lock.h"
#include "wire/told.h"

enum {
	MESSAGE_VERSION = 1,
	MESSAGE_AHEAD_MAX = 8,
	MESSAGE_STATUS_ROWS_MAX = 1000, /* so that one status stays below the send buffer */
	MESSAGE_EVENTS_MAX = 2000,
};

/* Close codes that a page can read. */
enum {
	CLOSE_TOKEN = 4401,
	CLOSE_ORIGIN = 4403,
	CLOSE_VERSION = 4409,
	CLOSE_TOO_MANY = 4429,
	CLOSE_DRAINING = 4503,
};

enum message_kind {
	MESSAGE_HELLO,     /* event is EVENT_SESSION_OPEN; check `token` first */
	MESSAGE_EVENT,     /* event is for the core */
	MESSAGE_ADMIN,     /* event is EVENT_ADMIN; needs ACCESS_ADMIN */
	MESSAGE_STATUS,    /* answer {"type":"status",..} with at most `limit` waiting rows */
	MESSAGE_SUBSCRIBE, /* events, logs: from now on; false ends it */
	MESSAGE_LOGS,      /* limit, since: answer log.. and then ok with their count */
	MESSAGE_ABOUT,     /* about: what it says of itself; no answer */
	MESSAGE_CLIENTS,   /* answer {"type":"clients",..} */
	MESSAGE_EVENTS,    /* limit, since: answer event.. and then ok with their count */
	MESSAGE_SAMPLES,   /* answer {"type":"samples",..} */
	MESSAGE_OPEN,      /* a one-time link for the pages; needs ACCESS_ADMIN */
	MESSAGE_RELOAD,    /* re-read the configuration; needs ACCESS_ADMIN */
};

/* Must not be moved: the event points into it. */
struct message_in {
	enum message_kind kind;
	struct event event;
	struct parsed parsed;
	uint64_t ref; /* of acquire and cancel, to answer `denied` with; 0: none was readable */
	const char *token; /* hello, may be NULL; never to be logged */
	bool events, logs;
	struct about about;
	struct named_processes named; /* processes; pid_start is the caller's to fill in */
	uint64_t limit, since;
};

/* `name`: the session's, NULL before hello (then only hello is taken). 0, or a negative enum err
 * with parsed.detail: answer `denied` and go on; -ERR_VERSION: close with CLOSE_VERSION. Call
 * message_finish in any case. */
int message_parse(const char *text, size_t length, const struct wire_context *ctx, const char *name,
		  struct message_in *ret_message);
void message_finish(struct message_in *message);

/* What a message says besides its effect, looked up when it is written; zeroed where unknown. */
struct message_facts {
	const struct core_config *config;
	uint64_t epoch;     /* welcome */
	int64_t linger_ms;  /* welcome: how long a broken connection keeps all it has */
	const char *server; /* welcome: "baton/0.1.0" */
	const char *rights; /* welcome: "admin", "token" or "queue" */
	bool dev;           /* welcome: `reload` messages come */
	bool has_place;     /* queued: the next four are known */
	int64_t position;   /* 0: next */
	struct told told;
	const struct why *why;
	const char *holder_name; /* of why->holder, or all of why->holders */
	const char *ahead[MESSAGE_AHEAD_MAX];
	size_t ahead_count;
	const char *other_name; /* of send.other: yield's `for` */
};

/* Adds one JSON object without a newline. */
void message_render(struct text *out, const struct send_effect *send,
		    const struct message_facts *facts);
/* `denied` for what never reached the core: a malformed message, a missing right. */
void message_render_denied(struct text *out, uint64_t ref, int err, const char *detail);
/* {"type":"ok","count":..}, {"type":"log","line":..}, {"type":"link","url":..}, and
 * {"type":"reloaded","changed":[..]} from a list of words. */
void message_render_ok(struct text *out, uint64_t count);
void message_render_log(struct text *out, const char *line);
void message_render_link(struct text *out, const char *url);
void message_render_reloaded(struct text *out, const char *const *changed, size_t count);
