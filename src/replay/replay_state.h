/* replay_state: the past of a broker, from its state folder, as a trace. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct replay_trace;

struct replay_period {
	int64_t from_ms, to_ms; /* wall time; INT64_MIN, INT64_MAX: all there is */
};

/* Reads a copy of the folder, so a broker may run on it. `config`: the rules to replay by, NULL:
 * those that it ran by last. 0 and a trace for replay_trace_finish; -ERR_CONFIG: of `config`;
 * -ERR_NOT_FOUND: nothing of that time, or no such folder; else a negative enum err. All but 0 with
 * detail. */
int replay_state_read(const char *dir, const char *config, const struct replay_period *period,
		      struct replay_trace *ret_trace, char *detail, size_t detail_size);
