/* session_decode: what clients say in the session protocol becomes events; the same for WebSocket
 * text frames and lines on the Unix socket. The answers are in session_encode.h, the client's side
 * in client_encode.h and client_decode.h. docs/protocol.md has every field. */
#pragma once
#include "core/event.h"
#include "core/record.h"
#include "wire/client_info.h"
#include "wire/json_fields.h"

struct wire_context;

enum {
	PROTOCOL_VERSION = 1,
	STATUS_ROWS_MAX = 1000, /* so that one status stays below the send buffer */
	EVENT_ROWS_MAX = 2000,
};

/* Close codes that a page can read. */
enum {
	CLOSE_TOKEN = 4401,
	CLOSE_ORIGIN = 4403,
	CLOSE_VERSION = 4409,
	CLOSE_TOO_MANY = 4429,
	CLOSE_DRAINING = 4503,
};

enum session_request_kind {
	REQUEST_HELLO,     /* event is EVENT_SESSION_OPEN; check `token` first */
	REQUEST_EVENT,     /* event is for the core */
	REQUEST_ADMIN,     /* event is EVENT_ADMIN; needs ACCESS_ADMIN */
	REQUEST_STATUS,    /* answer {"type":"status",..} with at most `limit` waiting rows */
	REQUEST_SUBSCRIBE, /* events, logs: from now on; false ends it */
	REQUEST_LOGS,      /* limit, since: answer log.. and then ok with their count */
	REQUEST_ABOUT,     /* about: what it says of itself; no answer */
	REQUEST_CLIENTS,   /* answer {"type":"clients",..} */
	REQUEST_EVENTS,    /* limit, since: answer event.. and then ok with their count */
	REQUEST_SAMPLES,   /* answer {"type":"samples",..} */
	REQUEST_OPEN,      /* a one-time link for the pages; needs ACCESS_ADMIN */
	REQUEST_RELOAD,    /* re-read the configuration; needs ACCESS_ADMIN */
};

/* Must not be moved: the event points into it. */
struct session_request {
	enum session_request_kind kind;
	struct event event;
	struct parsed parsed;
	uint64_t ref; /* of acquire and cancel, to answer `denied` with; 0: none was readable */
	const char *token; /* hello, may be NULL; never to be logged */
	bool events, logs;
	struct client_info about;
	struct named_processes named; /* processes; pid_start is the caller's to fill in */
	uint64_t limit, since;
};

/* `name`: the session's, NULL before hello (then only hello is taken). 0, or a negative enum err
 * with parsed.detail: answer `denied` and go on; -ERR_VERSION: close with CLOSE_VERSION. Call
 * session_request_finish in any case. */
int session_decode(const char *text, size_t length, const struct wire_context *ctx,
		   const char *name, struct session_request *ret_message);
void session_request_finish(struct session_request *message);
const char *admin_act_name(enum admin_act act);
