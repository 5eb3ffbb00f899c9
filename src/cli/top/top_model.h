/* top_model: what `top` knows: the last status, what the GPUs did over time, who held when. Pure;
 * its time is the broker's. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/top/timeline.h"

enum {
	TOP_GPUS_MAX = 16,
	TOP_SAMPLES = 3600, /* one a second */
};

struct top_sample {
	int64_t at_ms;
	float load, memory; /* shares of 0 to 1; negative: unknown */
};

struct top_history {
	char gpu[64];
	struct top_sample *samples; /* owned, TOP_SAMPLES, a ring */
	size_t next, count;
};

struct top_model {
	json_t *status; /* owned; NULL before the first answer */
	struct timeline timeline;
	struct top_history histories[TOP_GPUS_MAX];
	size_t history_count;
	int64_t now_ms; /* of the last status */
	/* Of the connection, for people; "" when all is well. */
	char trouble[1200];
	char clock[16]; /* "12:34:56" here, or "" */
};

void top_model_finish(struct top_model *model);
/* Takes the reference. */
void top_model_status(struct top_model *model, json_t *status);

/* Share of a GPU's compute in use: measured, else of its turns; *ret_measured says which. Negative:
 * unknown. */
double top_model_load(const json_t *gpu, bool *ret_measured);
/* What a GPU did in `count` cells from `from_ms` to now: the most in each; negative: unknown. */
void top_model_series(const struct top_model *model, const char *gpu, int64_t from_ms,
		      bool of_memory, double *ret_values, size_t count);
