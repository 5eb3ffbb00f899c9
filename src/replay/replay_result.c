/* replay_result: records the spans of a replay. */
#include "replay/replay_result.h"

#include <stdlib.h>

#include "base/memory.h"

void replay_result_init(struct replay_result *result, const struct replay_trace *trace)
{
	*result = (struct replay_result){.end_ms = trace->end_ms};
	result->verdicts = check_memory(calloc(trace->count, sizeof(*result->verdicts)));
	for (size_t i = 0; i < trace->count; i++)
		result->verdicts[i].told_ms = -1;
}

void replay_result_finish(struct replay_result *result)
{
	free(result->verdicts);
	free(result->spans);
	*result = (struct replay_result){0};
}

void replay_result_phase(struct replay_result *result, size_t request, enum replay_phase phase,
			 int64_t now_ms)
{
	struct replay_verdict *v = &result->verdicts[request];

	if (phase == v->phase)
		return;

	if (v->phase != PHASE_NONE && now_ms > v->since_ms) {
		if (result->span_count == result->span_capacity) {
			result->span_capacity =
				result->span_capacity ? result->span_capacity * 2 : 1024;
			result->spans = check_memory(realloc(
				result->spans, result->span_capacity * sizeof(*result->spans)));
		}
		result->spans[result->span_count++] = (struct replay_span){
			request, v->phase, v->since_ms, now_ms, v->gpus, v->slots};
	}

	if (phase == PHASE_HOLDING && !v->granted) {
		v->granted = true;
		v->granted_ms = now_ms;
	}

	if (phase == PHASE_WAITING && v->granted)
		v->yields++;
	v->phase = phase;
	v->since_ms = now_ms;
}

/* The span until now ran where it ran. */
void replay_result_place(struct replay_result *result, size_t request, uint32_t gpus,
			 uint32_t slots)
{
	struct replay_verdict *v = &result->verdicts[request];

	if (gpus == 0 && v->phase != PHASE_WAITING)
		return;
	v->gpus = gpus;
	v->slots = slots;
}

void replay_result_told(struct replay_result *result, size_t request, int64_t bound_ms)
{
	result->verdicts[request].told_ms = bound_ms;
}

void replay_result_end(struct replay_result *result, size_t request, enum replay_end end,
		       int64_t now_ms)
{
	replay_result_phase(result, request, PHASE_NONE, now_ms);
	result->verdicts[request].end = end;
	result->verdicts[request].ended_ms = now_ms;
}

void replay_result_close(struct replay_result *result, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (result->verdicts[i].end == ENDING_NONE)
			replay_result_end(result, i, ENDING_NONE, result->end_ms);
}

int64_t replay_wait_ms(const struct replay_trace *trace, const struct replay_result *result,
		       size_t request)
{
	const struct replay_verdict *v = &result->verdicts[request];

	return (v->granted ? v->granted_ms : v->ended_ms) - trace->requests[request].at_ms;
}
