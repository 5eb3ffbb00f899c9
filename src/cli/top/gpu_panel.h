/* gpu_panel: what one GPU does, in a line or two, and a third when it cannot be measured. Pure. */
#pragma once
#include "cli/top/top_model.h"

struct text_table;

struct gpu_panel {
	const struct top_model *model;
	size_t width, name_width;
	int64_t span_ms; /* of the lines over time */
	bool utf8, compact;
};

/* Columns of the longest name, within bounds. */
size_t gpu_panel_name_width(const struct top_model *model);
void gpu_panel_add(const struct gpu_panel *panel, const json_t *gpu, struct text_table *out);
