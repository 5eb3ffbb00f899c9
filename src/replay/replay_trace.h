/* replay_trace: the contents of a trace (traces/README.md says what each field means). */
#pragma once
#include <stdio.h>

#include "core/config.h"

enum replay_recorded { RECORDED_NOTHING, RECORDED_GRANTED, RECORDED_TIMEOUT, RECORDED_PENDING };

/* One request; in the trace's order of time, equal times in the order of lines. */
struct replay_request {
	char *id;
	int64_t at_ms, timeout_ms;
	int64_t hold_ms;  /* how long it uses the GPU in all */
	int64_t dies_ms;  /* after so much use it dies without a word; -1: it lives */
	int64_t yield_ms; /* asked to yield, it gives back after so long */
	uint64_t vram_bytes;
	int32_t priority; /* the predecessor's number */
	enum lease_class cls;
	enum binding binding;
	enum replay_recorded recorded;
	uint32_t line;
};

struct replay_trace {
	struct replay_request *requests;
	size_t count;
	int64_t end_ms; /* nothing is known, and nothing re-enacted, after it */
	size_t recorded[RECORDED_PENDING + 1];
	char title[256];           /* "" if the trace has none */
	struct core_config config; /* defaults, with the trace's GPUs */
};

/* Reads it all. 0 and a trace for replay_trace_finish; or -ERR_BAD_FIELD with "name:line: what" in
 * `detail`, or -ERR_IO. */
int replay_trace_read(FILE *file, const char *name, struct replay_trace *ret_trace, char *detail,
		      size_t detail_size);
void replay_trace_finish(struct replay_trace *trace);
