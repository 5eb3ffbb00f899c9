/* effect: what the core wants done, in order. The shell appends and commits all APPENDs of a loop
 * turn first and carries out the rest only then (I8). Everything is by value: an effect stays good
 * after later steps. Names of claims are looked up by id when a message is written. */
#pragma once
#include "base/err.h"
#include "core/record.h"

enum message {
	MSG_WELCOME, /* lease = session id, token = secret, flag = resumed */
	MSG_CLAIM,   /* after a resume, one per live claim: ref, lease, state and, if held, fence,
			gpus, token; then YIELD or REVOKED again where that was said */
	MSG_QUEUED,  /* ref, lease: in the queue now; the position is asked for when written */
	MSG_OFFERED, /* ref, lease, fence, gpus */
	MSG_GRANTED, /* ref, lease, fence, gpus, token, expires_ms (plain HTTP: the whole answer) */
	MSG_YIELD,   /* lease, reason, other = for whom (claim id or 0), grace_ms, detail: an
			operator's words */
	MSG_KEEP,    /* lease: the yield is taken back, it stays held */
	MSG_REVOKED, /* lease, reason, detail; grace_ms: until SIGKILL, 0: nobody is killed */
	MSG_RELEASED, /* ref, lease: answer to release or cancel, or ended by an operator (end says)
		       */
	MSG_TIMEOUT,  /* ref, lease: waited too long */
	MSG_DENIED,   /* ref, lease, err, detail: answer to any request that cannot be done */
	MSG_RENEWED,  /* lease, expires_ms; flag: it was asked to give way, reason says why, and the
			grace is what is left */
	MSG_CHANGED,  /* lease */
	MSG_LENT,     /* lease, other = claim that runs inside it; 0: it ended, the turn is back */
	MSG_HEARTBEAT, /* answer with alive */
	MSG_OK,        /* an admin act was done: lease = how many it touched */
	MSG_COUNT
};

enum effect_type {
	EFFECT_APPEND, /* record */
	EFFECT_SEND,   /* send to conn; a conn that is gone is no error */
	EFFECT_TRACE,  /* trace: a change people may want to see (log, /v1/gpu/events) */
	EFFECT_SIGNAL, /* signal the process of a native session: revoke by force */
	EFFECT_CLOSE,  /* close conn: a session was resumed elsewhere, or said bye */
};

struct effect {
	enum effect_type type;
	uint64_t conn;
	union {
		struct record record;
		struct {
			enum message msg;
			uint64_t ref, lease, fence, other;
			uint32_t gpus; /* mask */
			enum claim_state state;
			enum end_reason end;
			enum yield_reason reason;
			int err; /* enum err, positive */
			bool flag;
			struct token token;
			int64_t expires_ms, grace_ms;
			char detail[LIMIT_REASON_BYTES + 1];
		} send;
		struct {
			uint64_t claim, session; /* one may be 0 */
			enum claim_state from, to;
			enum end_reason end;
			enum yield_reason reason;
			enum lease_class cls;
			uint64_t fence, other;
			int64_t waited_ms; /* until the grant, turns before it not counted */
			int64_t held_ms;   /* since the newest grant */
			int64_t age_ms;    /* since it arrived */
			uint32_t gpus;
			char what[24]; /* "queued", "offered", "held", "yield", "revoked", "ended",
					  "detached", "attached", "paused", .. */
			char name[LIMIT_ID_BYTES + 1];
			char principal[LIMIT_PRINCIPAL_BYTES + 1]; /* of sessions, and waiting */
			char detail[LIMIT_REASON_BYTES + 1];
		} trace;
		struct {
			uint64_t session;
			int signo; /* SIGTERM or SIGKILL */
		} signal;
	};
};

/* A growing array, owned by the caller and used again each turn: the core only adds. */
struct effects {
	struct effect *v;
	size_t count, capacity;
	size_t work;              /* claims that steps moved without an effect */
	bool queue_changed;       /* some waiter's position or reason may have changed */
	struct mono_ms next_wake; /* when the core wants the next EVENT_TICK; set by each step */
};

void effects_init(struct effects *fx);
void effects_clear(struct effects *fx); /* keeps the memory of a usual turn */
void effects_finish(struct effects *fx);
/* Zeroes what an effect of this type says: of a text its first byte, of a record nothing. */
void effect_clear(struct effect *effect, enum effect_type type);
/* Copies what is said, not the room behind it. */
void effect_copy(struct effect *to, const struct effect *from);
/* Such a cleared effect at the end; valid until the next add. Aborts when memory is out. */
struct effect *effects_add(struct effects *fx, enum effect_type type);
