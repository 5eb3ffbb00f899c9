/* replay_result: what became of each request of a trace, and when. */
#pragma once
#include "replay/replay_trace.h"

enum replay_phase {
	PHASE_NONE,
	PHASE_WAITING,
	PHASE_HOLDING,
	PHASE_YIELDING, /* asked to yield, or grace over and the capacity not yet free */
	PHASE_LOST,     /* the holder is dead and the lease not yet ended */
	PHASE_COUNT
};

enum replay_end {
	ENDING_NONE, /* waits or holds when the trace ends */
	ENDING_RELEASED,
	ENDING_TIMEOUT,
	ENDING_DIED,
	ENDING_REVOKED, /* or anything else that took it away */
	ENDING_DENIED,
	ENDING_COUNT
};

struct replay_span {
	size_t request; /* index into the trace */
	enum replay_phase phase;
	int64_t from_ms, to_ms;
	uint32_t gpus, slots; /* while it has some */
};

struct replay_verdict {
	bool granted;
	enum replay_end end;
	uint32_t yields;              /* times it gave way and came back */
	int64_t granted_ms, ended_ms; /* the first grant; meaningless before */
	int64_t told_ms;              /* the bound that it was told first; -1: none */
	enum replay_phase phase;      /* now, while the replay runs */
	int64_t since_ms;
	uint32_t gpus, slots;
};

struct replay_result {
	struct replay_verdict *verdicts; /* one per request of the trace */
	struct replay_span *spans;       /* by end */
	size_t span_count, span_capacity;
	int64_t end_ms; /* the trace's; of a state's replay later, where the rules take longer */
};

/* Aborts on allocation failure, like the core. */
void replay_result_init(struct replay_result *result, const struct replay_trace *trace);
void replay_result_finish(struct replay_result *result);
/* A request moves on: its span ends, and the next begins. */
void replay_result_phase(struct replay_result *result, size_t request, enum replay_phase phase,
			 int64_t now_ms);
/* From now on it runs there, until told otherwise. */
void replay_result_place(struct replay_result *result, size_t request, uint32_t gpus,
			 uint32_t slots);
void replay_result_told(struct replay_result *result, size_t request, int64_t bound_ms);
void replay_result_end(struct replay_result *result, size_t request, enum replay_end end,
		       int64_t now_ms);
/* The trace is over: closes every span that is open. */
void replay_result_close(struct replay_result *result, size_t count);
/* Until the grant or, without one, until the client gave up or the trace ended: leaving those out
 * would favour a policy that serves nobody. */
int64_t replay_wait_ms(const struct replay_trace *trace, const struct replay_result *result,
		       size_t request);
