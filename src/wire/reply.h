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
	REPLY_KEEP,
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
	uint64_t ref, lease, fence, epoch;
	uint64_t other; /* yield: for whom (claim); lent: to */
	uint64_t count; /* ok: how many were touched; close: the code */
	int64_t position, eta_ms, eta_p90_ms, bound_ms, grace_ms, expires_ms, ping_ms,
		session_ttl_ms, linger_ms;
	enum claim_state state; /* claim */
	int err;                /* denied: enum err, positive */
	int retry_s;            /* denied: 0: do not retry by yourself */
	bool resumed;
	bool has_token;
	struct token token;   /* granted */
	const char *session;  /* welcome: what `resume` shows */
	const char *server;   /* welcome: "baton/0.1.0" */
	const char *reason;   /* yield, revoked, released, close */
	const char *message;  /* denied: the words of its code */
	const char *detail;   /* denied, revoked, released: which field, or the operator's words */
	const char *for_name; /* yield: who needs it */
	const char *ahead;    /* queued: the first one before it */
	const char *why;      /* queued: one sentence */
	const char *estimate; /* queued: of its wait, in words */
	const char *sentence; /* queued: place, estimate and why */
	const char *text;     /* log: the line; link: the URL */
	uint32_t gpu_count;
	struct reply_gpu {
		uint32_t index;
		const char *name, *uuid; /* may be NULL */
	} gpus[LIMIT_GPUS];
};

/* 0 or a negative enum err with parsed.detail; reply_finish in any case. A field of a wrong type
 * reads as absent: the broker is trusted to mean well, not to be of this version. */
int reply_parse(const char *text, size_t length, struct reply *ret_reply);
void reply_finish(struct reply *reply);
