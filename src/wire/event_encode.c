/* event_encode: what happened, as the JSON of /v1/gpu/events and as the tail of a log line. Never a
 * token: traces carry none. Called by the server for each EFFECT_TRACE. */
#include "wire/event_encode.h"
#include "core/config.h"
#include "core/trace.h"
#include "json/json_writer.h"
#include "wire/encode_common.h"
#include "wire/sight.h"
#include "wire/told.h"

void event_encode(struct text *out, const struct trace_effect *trace, uint64_t id,
		  struct wall_ms wall, const struct core_config *config, const struct sight *sight)
{
	text_str(out, "{\"type\":\"event\"");
	text_json_u64(out, "id", id);
	text_json_key(out, "time");
	text_char(out, '"');
	encode_time(out, wall);
	text_char(out, '"');
	text_json_str(out, "what", trace_name(trace->what));

	if (trace->claim) {
		text_json_u64(out, "lease", trace->claim);
		text_json_str(out, "class", lease_class_name(trace->cls));
		text_json_str(out, "from", claim_state_name(trace->from));
		text_json_str(out, "to", claim_state_name(trace->to));
	}

	if (trace->session)
		text_json_u64(out, "session", trace->session);
	if (trace->name[0])
		text_json_str(out, "client", trace->name);
	if (trace->principal[0] && sight_tells(sight, trace->principal))
		text_json_str(out, "principal", trace->principal);
	if (trace->end != END_NONE)
		text_json_str(out, "end", end_reason_name(trace->end));
	if (trace->claim && trace->to == CLAIM_YIELDING)
		text_json_str(out, "reason", yield_reason_name(trace->reason));
	if (trace->fence)
		text_json_u64(out, "fence", trace->fence);
	if (trace->other)
		text_json_u64(out, "other", trace->other);

	encode_gpus(out, trace->gpus, config);
	if (trace->claim) {
		text_json_seconds(out, "age_s", trace->age_ms);
		text_json_seconds(out, "waited_s", trace->waited_ms);
	}

	if (trace->held_ms > 0)
		text_json_seconds(out, "held_s", trace->held_ms);
	if (trace->detail[0] && (trace->end == END_NONE || sight_tells(sight, trace->principal)))
		text_json_str(out, "detail", trace->detail);
	text_char(out, '}');
}

/* Without printf: a busy broker writes four such lines for each grant. */
static void log_key(struct text *out, const char *key)
{
	text_char(out, ' ');
	text_str(out, key);
	text_char(out, '=');
}

static void log_word(struct text *out, const char *key, const char *word)
{
	log_key(out, key);
	text_str(out, word);
}

static void log_u64(struct text *out, const char *key, uint64_t value)
{
	if (!value)
		return;
	log_key(out, key);
	text_u64(out, value);
}

static void log_seconds(struct text *out, const char *key, int64_t ms)
{
	if (ms <= 0)
		return;
	log_key(out, key);
	text_seconds(out, ms);
}

static void log_gpus(struct text *out, uint32_t mask, const struct core_config *config)
{
	const char *before = " gpu=";
	for (uint32_t left = mask; left; left &= left - 1) {
		uint32_t index = (uint32_t)__builtin_ctz(left);
		text_str(out, before);
		if (config && index < config->gpu_count)
			text_str(out, config->gpus[index].name);
		else
			text_u64(out, index);
		before = ",";
	}
}

void event_encode_log(struct text *out, const struct trace_effect *trace,
		      const struct core_config *config)
{
	text_str(out, trace_name(trace->what));
	log_u64(out, "lease", trace->claim);
	log_u64(out, "session", trace->session);
	if (trace->name[0])
		text_log_str(out, "client", trace->name);
	if (trace->principal[0])
		log_word(out, "principal", trace->principal);
	if (trace->claim)
		log_word(out, "class", lease_class_name(trace->cls));
	if (trace->end != END_NONE)
		log_word(out, "end", end_reason_name(trace->end));
	if (trace->claim && trace->to == CLAIM_YIELDING)
		log_word(out, "reason", yield_reason_name(trace->reason));

	log_u64(out, "fence", trace->fence);
	log_u64(out, "for", trace->other);
	log_gpus(out, trace->gpus, config);
	log_seconds(out, "waited_s", trace->waited_ms);
	log_seconds(out, "held_s", trace->held_ms);
	if (trace->detail[0]) /* sight.c keeps `why` from those who are not told whose it is */
		text_log_str(out, trace->end == END_NONE ? "detail" : "why", trace->detail);
}
