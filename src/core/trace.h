/* trace: a change that people may want to see, in the log and on /v1/gpu/events. */
#pragma once
#include "base/limits.h"
#include "core/types.h"

/* what happened, its word */
#define TRACE_TABLE(X)                                                                             \
	X(TRACE_QUEUED, "queued")                                                                  \
	X(TRACE_OFFERED, "offered")                                                                \
	X(TRACE_LOADING, "loading")                                                                \
	X(TRACE_HELD, "held")                                                                      \
	X(TRACE_YIELD, "yield")                                                                    \
	X(TRACE_KEPT, "kept")                                                                      \
	X(TRACE_REVOKED, "revoked")                                                                \
	X(TRACE_KILLED, "killed")                                                                  \
	X(TRACE_DRAINING, "draining")                                                              \
	X(TRACE_LEFTOVER, "leftover")                                                              \
	X(TRACE_ENDED, "ended")                                                                    \
	X(TRACE_CHANGED, "changed")                                                                \
	X(TRACE_COLLIDES, "collides")                                                              \
	X(TRACE_NOTICE, "notice")                                                                  \
	X(TRACE_LENT, "lent")                                                                      \
	X(TRACE_OBSERVING, "observing")                                                            \
	X(TRACE_ENFORCING, "enforcing")                                                            \
	X(TRACE_ATTACHED, "attached")                                                              \
	X(TRACE_DETACHED, "detached")                                                              \
	X(TRACE_UNWATCHED, "unwatched")                                                            \
	X(TRACE_EXITED, "exited")                                                                  \
	X(TRACE_GONE, "gone")                                                                      \
	X(TRACE_BYE, "bye")                                                                        \
	X(TRACE_STARTED, "started")                                                                \
	X(TRACE_PAUSED, "paused")                                                                  \
	X(TRACE_RESUMED, "resumed")                                                                \
	X(TRACE_RESET, "reset")                                                                    \
	X(TRACE_FORCE_RELEASE_ALL, "force-release-all")                                            \
	X(TRACE_JOURNAL_OK, "journal-ok")                                                          \
	X(TRACE_JOURNAL_FAILED, "journal-failed")                                                  \
	X(TRACE_CLOCK_JUMP, "clock-jump")

enum trace_what {
#define X(what, word) what,
	TRACE_TABLE(X)
#undef X
		TRACE_COUNT
};

const char *trace_name(enum trace_what what);

struct trace_effect {
	enum trace_what what;
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
	char name[LIMIT_ID_BYTES + 1];
	char principal[LIMIT_PRINCIPAL_BYTES + 1]; /* of sessions, waiting, and an end's detail */
	char detail[LIMIT_REASON_BYTES + 1];
};
