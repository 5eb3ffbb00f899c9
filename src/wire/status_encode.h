/* status_encode: what people and monitors read: status in slices, events, log lines, metrics. Rows
 * are written one at a time, so the server can stream 10,000 of them in slices; between calls it
 * may send and clear the buffer. Asks nothing of the core: views come in as arguments. */
#pragma once
#include "core/trace.h"
#include "core/view.h"
#include "wire/told.h"

/* The parts of status in their order. */
enum status_part {
	STATUS_PART_HEAD,
	STATUS_PART_QUEUED,      /* "queued": [id..], the predecessor's */
	STATUS_PART_START_TIMES, /* "request_start_times": {id: wall seconds}, the predecessor's */
	STATUS_PART_GPUS,
	STATUS_PART_LEASES,
	STATUS_PART_WAITING,
	STATUS_PART_END
};

struct status_encoder {
	struct text *out;
	enum status_part part;
	bool first;     /* row of this part */
	uint64_t *seen; /* hashes of names in start times: no name twice, none lost (P35) */
	size_t seen_count, seen_capacity;
	bool as_message; /* {"type":"status",..} */
};

struct status_head {
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

void status_encode_begin(struct status_encoder *encoder, struct text *out,
			 const struct status_head *head, bool as_message);
enum status_part
status_encode_next(struct status_encoder *encoder);        /* closes the part, opens the next */
void status_encode_finish(struct status_encoder *encoder); /* frees, at any point */

/* "grants":{..}: whether anything is granted, and if not why and for how long. `detail` may be
 * NULL. */
void encode_grants(struct text *out, enum grants grants, int64_t left_ms, const char *detail);
void status_encode_queued(struct status_encoder *encoder, const struct claim_view *waiter);
void status_encode_start_time(struct status_encoder *encoder, const struct claim_view *waiter);
void status_encode_gpu(struct status_encoder *encoder, uint32_t index, const struct gpu_view *gpu);
void status_encode_lease(struct status_encoder *encoder, const struct claim_view *holder,
			 struct mono_ms now, const struct core_config *config,
			 const char *yield_for_name);
struct status_wait {
	int64_t position;
	struct told told;
	const struct why *why;
	const char *holder_name; /* of why->holder, or all of why->holders */
};
void status_encode_waiter(struct status_encoder *encoder, const struct claim_view *waiter,
			  struct mono_ms now, const struct core_config *config,
			  const struct status_wait *wait);

/* The sentence of WHY_TABLE with its fields filled. */
void encode_why_text(struct text *out, const struct why *why, const char *holder_name,
		     const struct core_config *config);
/* What a person wants to know, in one sentence: when it is on, who has the GPU and until when. */
void encode_sentence_text(struct text *out, int64_t position, const struct estimate *estimate,
			  const struct why *why, const char *holder_name,
			  const struct core_config *config);

/* A trace: as the JSON object of /v1/gpu/events (`id` counts events), and as the tail of a
 * log line: `held lease=7 client="x" ..`. */
void event_encode(struct text *out, const struct trace_effect *trace, uint64_t id,
		  struct wall_ms wall, const struct core_config *config);
void event_encode_log(struct text *out, const struct trace_effect *trace,
		      const struct core_config *config);

/* A row of the journal's history as one object: an ended claim, or an operator's act. */
void history_encode_row(struct text *out, uint64_t row, const struct record *record);
/* When it ended or was done. */
struct wall_ms history_time(const struct record *record);

/* Prometheus text. `label` may be NULL. */
void metrics_encode_head(struct text *out, const char *name, const char *type, const char *help);
void metrics_encode_value(struct text *out, const char *name, const char *label,
			  const char *label_value, double value);
/* All that core_stats counts, under baton_. */
void metrics_encode(struct text *out, const struct core_stats *stats);
void metrics_encode_grants(struct text *out, enum grants grants, int64_t left_ms);
/* A histogram for each class, as a label; LEASE_CLASS_COUNT of them. */
struct histogram;
void metrics_encode_histograms(struct text *out, const char *name, const char *help,
			       const struct histogram *by_class);
void metrics_encode_gpus(struct text *out, const struct gpu_view *gpus, size_t count);
