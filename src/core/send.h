/* send: messages to parties, by value. Names of claims are looked up by id when a message is
 * encoded. */
#pragma once
#include "base/limits.h"
#include "base/token.h"
#include "core/types.h"

enum notice {
	NOTICE_IDLE,   /* its GPUs have computed nothing for a while */
	NOTICE_OVER,   /* it uses more memory than it declared */
	NOTICE_LOST,   /* the driver lost one of its GPUs */
	NOTICE_BACK,   /* that one works again */
	NOTICE_ASTRAY, /* it uses memory of a GPU that it has no lease on */
	NOTICE_COUNT
};

const char *notice_name(int notice); /* "idle", .. */

enum send_kind {
	SEND_WELCOME,  /* lease = session id, token = secret, flag = resumed */
	SEND_CLAIM,    /* after a resume, one per live claim: ref, lease, state and, if held, fence,
			  gpus, token; then YIELD or REVOKED again where one is pending */
	SEND_QUEUED,   /* ref, lease: in the queue now; the position is looked up when encoded */
	SEND_OFFERED,  /* ref, lease, fence, gpus */
	SEND_GRANTED,  /* ref, lease, fence, gpus, token, expires_ms (plain HTTP: the whole answer)
			*/
	SEND_YIELD,    /* lease, reason, other = for whom (claim id or 0), grace_ms, detail: an
			 operator's words */
	SEND_KEEP,     /* lease: the yield is taken back, it stays held */
	SEND_REVOKED,  /* lease, reason, detail; grace_ms: until SIGKILL, 0: nobody is killed */
	SEND_RELEASED, /* ref, lease: answer to release or cancel, or ended by an operator (end
			* says)
			*/
	SEND_TIMEOUT,  /* ref, lease: waited too long */
	SEND_DENIED,   /* ref, lease, err, detail: answer to any request that cannot be done */
	SEND_RENEWED, /* lease, expires_ms; flag: a yield is pending, reason says why, and the grace
			 is what is left */
	SEND_CHANGED, /* lease */
	SEND_LENT,    /* lease, other = claim that runs inside it; 0: it ended, the turn is back */
	SEND_HEARTBEAT, /* answer with alive */
	SEND_NOTICE,    /* lease, notice, detail: what its holder should know; nothing follows */
	SEND_OK,        /* an admin act was done: lease = how many it touched */
	SEND_COUNT
};

struct send_effect {
	enum send_kind msg;
	uint64_t ref, lease, fence, other;
	uint32_t gpus; /* mask */
	enum claim_state state;
	enum end_reason end;
	enum yield_reason reason;
	enum notice notice;
	int err; /* enum err, positive */
	bool flag;
	bool observed, would_wait; /* OFFERED, GRANTED, CLAIM: as in the record */
	struct token token;
	int64_t expires_ms, grace_ms;
	char detail[LIMIT_REASON_BYTES + 1];
};
