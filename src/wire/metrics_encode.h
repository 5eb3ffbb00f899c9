/* metrics_encode: counters and GPUs as Prometheus text. Keeps no counter itself. */
#pragma once
#include "core/view.h"

struct histogram;
struct text;

/* Prometheus text. `label` may be NULL. */
void metrics_encode_head(struct text *out, const char *name, const char *type, const char *help);
void metrics_encode_value(struct text *out, const char *name, const char *label,
			  const char *label_value, double value);
/* All that core_stats counts, under baton_. */
void metrics_encode(struct text *out, const struct core_stats *stats);
void metrics_encode_grants(struct text *out, enum grants grants, int64_t left_ms);
/* A histogram for each class, as a label; LEASE_CLASS_COUNT of them. */
void metrics_encode_histograms(struct text *out, const char *name, const char *help,
			       const struct histogram *by_class);
void metrics_encode_gpus(struct text *out, const struct gpu_view *gpus, size_t count);
