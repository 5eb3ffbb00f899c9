/* render: what people and monitors read: status in slices, events, log lines, metrics. Rows are
 * written one at a time, so the server can stream 10,000 of them in slices; between calls it may
 * send and clear the buffer. Asks nothing of the core: views come in as arguments. */
#pragma once
#include "core/trace.h"
#include "core/view.h"
#include "wire/told.h"

/* The parts of status in their order. */
enum render_part {
	RENDER_HEAD,
	RENDER_QUEUED,      /* "queued": [id..], the predecessor's */
	RENDER_START_TIMES, /* "request_start_times": {id: wall seconds}, the predecessor's */
	RENDER_GPUS,
	RENDER_LEASES,
	RENDER_WAITING,
	RENDER_END
};

struct render {
	struct text *out;
	enum render_part part;
	bool first;     /* row of this part */
	uint64_t *seen; /* hashes of names in start times: no name twice, none lost (P35) */
	size_t seen_count, seen_capacity;
	bool as_message; /* {"type":"status",..} */
};

struct render_head {
	const struct core_stats *stats;
	struct estimate waits[LEASE_CLASS_COUNT];
	const char *version;
	const char *owner;         /* name of the holder with the lowest id, NULL: free */
	const char *paused_reason; /* may be NULL */
	enum grants grants;
	int64_t grants_left_ms;
	const char *grants_detail; /* may be NULL */
	int64_t uptime_ms;
	struct wall_ms wall;
	bool draining;
};

void render_begin(struct render *render, struct text *out, const struct render_head *head,
		  bool as_message);
enum render_part render_next(struct render *render); /* closes the part, opens the next */
void render_finish(struct render *render);           /* frees, at any point */

/* "grants":{..}: whether anything is granted, and if not why and for how long. `detail` may be
 * NULL. */
void render_grants(struct text *out, enum grants grants, int64_t left_ms, const char *detail);
void render_queued(struct render *render, const struct claim_view *waiter);
void render_start_time(struct render *render, const struct claim_view *waiter);
void render_gpu(struct render *render, uint32_t index, const struct gpu_view *gpu);
void render_lease(struct render *render, const struct claim_view *holder, struct mono_ms now,
		  const struct core_config *config, const char *yield_for_name);
struct render_wait {
	int64_t position;
	struct told told;
	const struct why *why;
	const char *holder_name; /* of why->holder, or all of why->holders */
};
void render_waiter(struct render *render, const struct claim_view *waiter, struct mono_ms now,
		   const struct core_config *config, const struct render_wait *wait);

/* The sentence of WHY_TABLE with its fields filled. */
void render_why(struct text *out, const struct why *why, const char *holder_name,
		const struct core_config *config);
/* What a person wants to know, in one sentence: when it is on, who has the GPU and until when. */
void render_sentence(struct text *out, int64_t position, const struct estimate *estimate,
		     const struct why *why, const char *holder_name,
		     const struct core_config *config);

/* A trace: as the JSON object of /v1/gpu/events (`id` counts events), and as the tail of a
 * log line: `held lease=7 client="x" ..`. */
void render_trace_json(struct text *out, const struct trace_effect *trace, uint64_t id,
		       struct wall_ms wall, const struct core_config *config);
void render_trace_log(struct text *out, const struct trace_effect *trace,
		      const struct core_config *config);

/* A row of the journal's history as one object: an ended claim, or an operator's act. */
void render_history_row(struct text *out, uint64_t row, const struct record *record);
/* When it ended or was done. */
struct wall_ms render_history_time(const struct record *record);

/* Prometheus text. `label` may be NULL. */
void render_metric_head(struct text *out, const char *name, const char *type, const char *help);
void render_metric(struct text *out, const char *name, const char *label, const char *label_value,
		   double value);
/* All that core_stats counts, under baton_. */
void render_metrics(struct text *out, const struct core_stats *stats);
void render_grants_metrics(struct text *out, enum grants grants, int64_t left_ms);
/* A histogram for each class, as a label; LEASE_CLASS_COUNT of them. */
struct histogram;
void render_histograms(struct text *out, const char *name, const char *help,
		       const struct histogram *by_class);
void render_gpu_metrics(struct text *out, const struct gpu_view *gpus, size_t count);
