/* run_state: what people are told about the run of the daemon itself. */
#pragma once
#include "base/limits.h"
#include "base/mono.h"

struct run_state {
	uint64_t epoch, requests;
	struct mono_ms started;
	int64_t turn_ms_max; /* the longest that anybody waited for the loop */
	char paused_reason[LIMIT_REASON_BYTES + 1];
	char doubt[160]; /* why it is not known who held before */
	bool draining;
};
