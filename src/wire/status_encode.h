/* status_encode: the broker's status as JSON, row by row: the server can stream 10,000 rows in
 * slices, and send and clear the buffer between two calls. Asks nothing of the core: views come in
 * as arguments. */
#pragma once
#include "core/estimate.h"
#include "core/view.h"
#include "wire/told.h"

struct core_config;
struct gpu_figures;
struct sight;
struct text;

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
	bool as_message;           /* {"type":"status",..} */
	const struct sight *sight; /* of others' claims; borrowed. NULL: all */
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
struct status_measured {
	const struct gpu_figures *figures; /* NULL: nothing is measured */
	struct mono_ms now;
	bool own; /* the asker may see only its own claims */
};
void status_encode_gpu(struct status_encoder *encoder, uint32_t index, const struct gpu_view *gpu,
		       const struct status_measured *measured);
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
