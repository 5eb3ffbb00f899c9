/* client_decode: the session protocol on the client's side, incoming: one message of the broker as
 * a plain struct. Used by libbaton and by tests. */
#pragma once
#include "base/limits.h"
#include "core/types.h"
#include "wire/json_fields.h"

enum received_type {
	RECEIVED_WELCOME,
	RECEIVED_CLAIM,
	RECEIVED_QUEUED,
	RECEIVED_OFFERED,
	RECEIVED_GRANTED,
	RECEIVED_YIELD,
	RECEIVED_KEEP,
	RECEIVED_REVOKED,
	RECEIVED_RELEASED,
	RECEIVED_TIMEOUT,
	RECEIVED_DENIED,
	RECEIVED_RENEWED,
	RECEIVED_CHANGED,
	RECEIVED_LENT,
	RECEIVED_NOTICE,
	RECEIVED_HEARTBEAT,
	RECEIVED_OK,
	RECEIVED_STATUS, /* parsed.root is the whole status object */
	RECEIVED_EVENT,  /* parsed.root is the event */
	RECEIVED_LOG,    /* text is one line */
	RECEIVED_LINK,   /* text is the URL */
	RECEIVED_RELOADED,
	RECEIVED_CLOSE, /* count is the close code, reason the words (line sessions) */
	RECEIVED_OTHER, /* a type of a newer broker: ignore */
	RECEIVED_TYPE_COUNT
};

/* Strings are borrowed until client_decode_finish, NULL when absent; numbers 0, times -1 when
 * absent. */
struct received {
	enum received_type type;
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
	const char *for_name; /* yield: the client that needs it */
	const char *ahead;    /* queued: the first one before it */
	const char *why;      /* queued: one sentence */
	const char *estimate; /* queued: of its wait, in words */
	const char *sentence; /* queued: place, estimate and why */
	const char *text;     /* log: the line; link: the URL; notice: one sentence */
	const char *code;     /* notice, denied: its word */
	uint32_t gpu_count;
	struct reply_gpu {
		uint32_t index;
		const char *name, *uuid, *maker; /* may be NULL */
		int64_t maker_index;             /* -1: none */
	} gpus[LIMIT_GPUS];
};

/* 0 or a negative enum err with parsed.detail; client_decode_finish in any case. A field of a wrong
 * type reads as absent: the broker is trusted to mean well, not to be of this version. */
int client_decode(const char *text, size_t length, struct received *ret_reply);
void client_decode_finish(struct received *received);
