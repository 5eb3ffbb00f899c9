/* event_encode: what happened, as JSON and as the tail of a log line. Never a token: traces carry
 * none. */
#pragma once
#include <stdint.h>

#include "base/mono.h"

struct core_config;
struct sight;
struct text;
struct trace_effect;

/* A trace: as the JSON object of /v1/gpu/events (`id` counts events), and as the tail of a
 * log line: `held lease=7 client="x" ..`. */
void event_encode(struct text *out, const struct trace_effect *trace, uint64_t id,
		  struct wall_ms wall, const struct core_config *config, const struct sight *sight);
void event_encode_log(struct text *out, const struct trace_effect *trace,
		      const struct core_config *config);
