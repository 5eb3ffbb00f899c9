/* replay_figures: sums over who had which GPU when. Decides nothing. */
#include "replay/replay_figures.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "replay/replay_result.h"

struct edge {
	int64_t at_ms;
	size_t use;
	bool begins, beside; /* beside: its record says that others were there before it */
};

/* One GPU while time goes on. */
struct meter {
	const struct core_config *config;
	uint32_t gpu;
	int64_t at_ms, busy_ms, overlap_ms;
	uint64_t slots, vram_bytes;
	uint32_t takers;
	const char *last; /* the client that had the turn last */
	size_t switches;
};

/* At equal times the ends come first. */
static int by_time(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	if (x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	if (x->begins != y->begins)
		return x->begins ? 1 : -1;
	if (x->beside != y->beside)
		return x->beside ? 1 : -1;
	return (x->use > y->use) - (x->use < y->use);
}

static bool is_over(const struct meter *m)
{
	const struct gpu_config *gpu = &m->config->gpus[m->gpu];
	bool over =
		gpu->vram_known ? m->vram_bytes > core_vram_room(m->config, m->gpu) : m->takers > 1;

	return m->slots > gpu->slots || over;
}

static void pass_to(struct meter *m, int64_t at_ms)
{
	const struct gpu_config *gpu = &m->config->gpus[m->gpu];
	uint64_t busy = m->slots < gpu->slots ? m->slots : gpu->slots;
	int64_t ms = at_ms - m->at_ms;

	m->busy_ms += (int64_t)busy * ms;
	m->overlap_ms += is_over(m) ? ms : 0;
	m->at_ms = at_ms;
}

static bool begin_use(struct meter *m, const struct replay_trace *trace,
		      const struct replay_hold *use)
{
	const char *id = trace->requests[use->request].id;

	m->slots += use->slots;
	m->vram_bytes += use->vram_bytes;
	m->takers += use->vram_bytes > 0;
	if (use->slots > 0) {
		m->switches += m->last && strcmp(m->last, id) != 0;
		m->last = id;
	}
	return is_over(m);
}

static void end_use(struct meter *m, const struct replay_hold *use)
{
	m->slots -= use->slots;
	m->vram_bytes -= use->vram_bytes;
	m->takers -= use->vram_bytes > 0;
}

static void measure_gpu(struct meter *m, const struct replay_trace *trace,
			const struct replay_hold *uses, size_t count, struct edge *edges,
			bool *collides)
{
	size_t edge_count = 0;

	for (size_t i = 0; i < count; i++) {
		if (!(uses[i].gpus & (1u << m->gpu)) || uses[i].from_ms == uses[i].to_ms)
			continue;
		edges[edge_count++] = (struct edge){uses[i].from_ms, i, true, uses[i].would_wait};
		edges[edge_count++] = (struct edge){uses[i].to_ms, i, false, false};
	}
	if (edge_count > 0)
		qsort(edges, edge_count, sizeof(*edges), by_time);

	for (size_t i = 0; i < edge_count; i++) {
		const struct replay_hold *use = &uses[edges[i].use];
		pass_to(m, edges[i].at_ms);
		if (!edges[i].begins)
			end_use(m, use);
		else if (begin_use(m, trace, use))
			collides[edges[i].use] = true;
	}
}

static void measure_uses(const struct replay_trace *trace, const struct core_config *config,
			 const struct replay_hold *uses, size_t count, int64_t end_ms,
			 struct replay_figures *ret)
{
	struct edge *edges = check_memory(calloc(2 * count + 1, sizeof(*edges)));
	bool *collides = check_memory(calloc(count + 1, sizeof(*collides)));
	int64_t busy_ms = 0, slots = 0;

	*ret = (struct replay_figures){.idle_share = -1, .jain = -1, .worst = -1};
	for (uint32_t gpu = 0; gpu < config->gpu_count; gpu++) {
		struct meter m = {.config = config, .gpu = gpu};
		measure_gpu(&m, trace, uses, count, edges, collides);
		ret->switches += m.switches;
		ret->overlap_ms += m.overlap_ms;
		busy_ms += m.busy_ms;
		slots += config->gpus[gpu].slots;
	}

	for (size_t i = 0; i < count; i++)
		ret->collisions += collides[i] || uses[i].would_wait;
	if (end_ms > 0 && slots > 0)
		ret->idle_share = 1 - (double)busy_ms / ((double)slots * (double)end_ms);
	free(collides);
	free(edges);
}

/* What one principal's requests got of what they would have had alone. */
struct part {
	const char *name;
	double progress;
	size_t index;
};

static int by_name(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : (x->index > y->index) - (x->index < y->index);
}

static const char *principal_of(const struct replay_request *q)
{
	return q->principal ? q->principal : q->id;
}

/* Jain, Chiu and Hawe (1984), over the mean progress of each principal: use / (wait + use). 1:
 * everybody was slowed down alike. */
static double jain_of(const struct replay_trace *trace, const int64_t *waits_ms)
{
	struct part *parts = check_memory(calloc(trace->count + 1, sizeof(*parts)));
	double sum = 0, squares = 0;
	size_t count = 0, principals = 0;

	for (size_t i = 0; i < trace->count; i++) {
		const struct replay_request *q = &trace->requests[i];
		double use = q->hold_ms > 0 ? (double)q->hold_ms : 1;
		if (waits_ms[i] >= 0)
			parts[count++] = (struct part){principal_of(q),
						       use / (use + (double)waits_ms[i]), i};
	}
	qsort(parts, count, sizeof(*parts), by_name);

	for (size_t from = 0, to; from < count; from = to) {
		double mean = 0;
		for (to = from; to < count && strcmp(parts[to].name, parts[from].name) == 0; to++)
			mean += parts[to].progress;
		mean /= (double)(to - from);
		sum += mean;
		squares += mean * mean;
		principals++;
	}
	free(parts);
	return squares > 0 ? sum * sum / ((double)principals * squares) : -1;
}

static double worst_of(const struct replay_trace *trace, const struct replay_result *result)
{
	double worst = -1;

	for (size_t i = 0; i < trace->count; i++) {
		double told_ms = (double)result->verdicts[i].told_ms;
		double wait_ms = (double)replay_wait_ms(trace, result, i);
		double ratio = told_ms > 0 ? wait_ms / told_ms : -1;
		worst = ratio > worst ? ratio : worst;
	}
	return worst;
}

void replay_figures(const struct replay_trace *trace, const struct replay_result *result,
		    struct replay_figures *ret_figures)
{
	struct replay_hold *uses = check_memory(calloc(result->span_count + 1, sizeof(*uses)));
	int64_t *waits_ms = check_memory(calloc(trace->count + 1, sizeof(*waits_ms)));
	size_t count = 0;

	for (size_t i = 0; i < result->span_count; i++) {
		const struct replay_span *span = &result->spans[i];
		if (span->phase == PHASE_WAITING || span->phase == PHASE_NONE)
			continue;
		uses[count++] = (struct replay_hold){
			.request = span->request,
			.from_ms = span->from_ms,
			.to_ms = span->to_ms,
			.gpus = span->gpus,
			.slots = span->slots,
			.vram_bytes = trace->requests[span->request].need.vram_bytes};
	}
	for (size_t i = 0; i < trace->count; i++)
		waits_ms[i] = replay_wait_ms(trace, result, i);

	measure_uses(trace, &trace->config, uses, count, result->end_ms, ret_figures);
	ret_figures->jain = jain_of(trace, waits_ms);
	ret_figures->worst = worst_of(trace, result);
	free(waits_ms);
	free(uses);
}

void replay_figures_past(const struct replay_trace *trace, struct replay_figures *ret_figures)
{
	int64_t *waits_ms = check_memory(calloc(trace->count + 1, sizeof(*waits_ms)));

	for (size_t i = 0; i < trace->count; i++)
		waits_ms[i] = trace->requests[i].recorded_wait_ms;
	measure_uses(trace, &trace->past, trace->holds, trace->hold_count, trace->end_ms,
		     ret_figures);
	ret_figures->jain = jain_of(trace, waits_ms);
	free(waits_ms);
}
