/* replay_trace: the contents of a trace (traces/README.md says what each field means). */
#pragma once
#include <stdio.h>

#include "core/config.h"

/* How long a request holds of which nobody knows it, and how long one takes that must yield. */
enum { REPLAY_HOLD_MS = 20 * 1000, REPLAY_YIELD_MS = 100 };

enum replay_recorded { RECORDED_NOTHING, RECORDED_GRANTED, RECORDED_TIMEOUT, RECORDED_PENDING };

/* One request; in the trace's order of time, equal times in the order of lines. */
struct replay_request {
	char *id;
	int64_t at_ms, timeout_ms;
	int64_t hold_ms;  /* how long it uses the GPU in all */
	int64_t dies_ms;  /* after so much use it dies without a word; -1: it lives */
	int64_t yield_ms; /* asked to yield, it gives back after so long */
	struct need need;
	int64_t load_ms; /* it brings a model in for so long, in each of its turns; 0: it does not
			  */
	int64_t uninterruptible_ms;
	bool preemptible, evictable;
	char *principal;  /* on whose behalf; NULL: one of its own */
	int32_t priority; /* the predecessor's number */
	enum lease_class cls;
	enum binding binding;
	enum replay_recorded recorded;
	int64_t recorded_wait_ms; /* of a state: until its last grant, turns not counted; -1: none
				   */
	uint32_t line;
};

/* What is known to have happened to a request of a state: when it had which GPUs. */
struct replay_hold {
	size_t request;
	int64_t from_ms, to_ms;
	uint32_t gpus, slots;
	uint64_t vram_bytes;
	bool would_wait; /* granted in observe mode, beside others */
};

/* Of a state: what its rows do not tell, or cannot be replayed. */
struct replay_gaps {
	size_t unknown_holds; /* never held anything: nobody knows for how long it would have */
	size_t inside;        /* ran inside another lease, and are left out */
	size_t running;       /* not over yet when it was read */
	size_t earlier_turns; /* of their turns only the last has its times in the record */
	bool rules_unknown;   /* the state does not say by which rules it ran: the defaults */
	bool older;           /* some row ends before the time asked for: there is no more */
};

struct replay_trace {
	struct replay_request *requests;
	size_t count;
	int64_t end_ms; /* nothing is known, and nothing re-enacted, after it */
	size_t recorded[RECORDED_PENDING + 1];
	char title[256];           /* "" if the trace has none */
	struct core_config config; /* defaults, with the trace's GPUs; or a state's own */
	bool is_state;
	struct replay_hold *holds; /* of a state, in no order */
	size_t hold_count;
	struct replay_gaps gaps;
	struct core_config past; /* of a state: by what it ran, its GPUs those of `holds` */
	int64_t begin_wall_ms;   /* of a state: when time 0 was */
};

/* Reads it all. 0 and a trace for replay_trace_finish; or -ERR_BAD_FIELD with "name:line: what" in
 * `detail`, or -ERR_IO. */
int replay_trace_read(FILE *file, const char *name, struct replay_trace *ret_trace, char *detail,
		      size_t detail_size);
/* By time; equal times by line. */
void replay_trace_sort(struct replay_trace *trace);
void replay_trace_finish(struct replay_trace *trace);
