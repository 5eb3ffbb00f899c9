/* reply: the session protocol on the client's side, incoming: one message of the broker as a plain
 * struct. Used by libbaton and by tests. */
#pragma once
#include "core/types.h"
#include "wire/json.h"

enum reply_type {
	REPLY_WELCOME,
	REPLY_CLAIM,
	REPLY_QUEUED,
	REPLY_OFFERED,
	REPLY_GRANTED,
	REPLY_YIELD,
	REPLY_REVOKED,
	REPLY_RELEASED,
	REPLY_TIMEOUT,
	REPLY_DENIED,
	REPLY_RENEWED,
	REPLY_CHANGED,
	REPLY_LENT,
	REPLY_HEARTBEAT,
	REPLY_OK,
	REPLY_STATUS, /* parsed.root is the whole status object */
	REPLY_EVENT,  /* parsed.root is the event */
	REPLY_LOG,    /* text is one line */
	REPLY_LINK,   /* text is the URL */
	REPLY_RELOADED,
	REPLY_CLOSE, /* count is the close code, reason the words (line sessions) */
	REPLY_OTHER, /* a type of a newer broker: ignore */
	REPLY_TYPE_COUNT
};

/* Strings are borrowed until reply_finish, NULL when absent; numbers 0, times -1 when absent. */
struct reply {
	enum reply_type type;
	struct parsed parsed;
	uint64_t ref, lease, fence, epoch, other, count;
	int64_t position, eta_ms, bound_ms, grace_ms, expires_ms, heartbeat_ms;
	enum claim_state state; /* REPLY_CLAIM */
	int err;                /* REPLY_DENIED: enum err, positive; of the wire name */
	int retry_s;
	bool resumed;
	const char *session;          /* welcome: what `resume` shows */
	const char *reason, *message; /* yield, revoked, released; denied: code's words */
	const char *for_name, *text;
	const char *holder; /* first of ahead, or who holds */
	const char *why;
	uint32_t gpu_count;
	struct reply_gpu {
		uint32_t index;
		const char *name, *uuid; /* uuid may be NULL */
	} gpus[LIMIT_GPUS];
};

/* 0 or a negative enum err with parsed.detail; reply_finish in any case. */
int reply_parse(const char *text, size_t length, struct reply *ret_reply);
void reply_finish(struct reply *reply);
