/* top_model: remembers; grids and panels say what of it is shown. */
#include "cli/top/top_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/field.h"

void top_model_finish(struct top_model *model)
{
	for (size_t i = 0; i < model->history_count; i++)
		free(model->histories[i].samples);
	json_decref(model->status);
	timeline_finish(&model->timeline);
	*model = (struct top_model){0};
}

double top_model_load(const json_t *gpu, bool *ret_measured)
{
	const json_t *measured = json_object_get(gpu, "measured");
	double percent = field_number(measured, "utilisation_percent", -1);
	double slots = field_number(gpu, "slots", 0), used = field_number(gpu, "slots_used", -1);

	*ret_measured = percent >= 0;
	if (percent >= 0)
		return percent / 100;
	return slots > 0 && used >= 0 ? used / slots : -1;
}

/* What is in use, or where nobody measures what was granted. */
static double memory_share(const json_t *gpu)
{
	double total = field_number(gpu, "vram_mb_total", -1);
	double used = field_number(gpu, "vram_mb_used", field_number(gpu, "vram_mb_granted", -1));
	return total > 0 && used >= 0 ? used / total : -1;
}

static struct top_history *history_of(struct top_model *model, const char *gpu)
{
	for (size_t i = 0; i < model->history_count; i++)
		if (strcmp(model->histories[i].gpu, gpu) == 0)
			return &model->histories[i];
	if (model->history_count == TOP_GPUS_MAX)
		return NULL;

	struct top_history *history = &model->histories[model->history_count];
	history->samples = calloc(TOP_SAMPLES, sizeof(*history->samples));
	if (!history->samples)
		abort();
	snprintf(history->gpu, sizeof(history->gpu), "%s", gpu);
	model->history_count++;
	return history;
}

void top_model_status(struct top_model *model, json_t *status)
{
	size_t i;
	json_t *gpu;
	bool measured;
	json_decref(model->status);
	model->status = status;
	model->now_ms = timeline_parse_time(field_text(status, "time", ""));
	timeline_status(&model->timeline, status);

	json_array_foreach (json_object_get(status, "gpus"), i, gpu) {
		struct top_history *history = history_of(model, field_text(gpu, "name", "?"));
		if (!history)
			break;
		history->samples[history->next] =
			(struct top_sample){.at_ms = model->now_ms,
					    .load = (float)top_model_load(gpu, &measured),
					    .memory = (float)memory_share(gpu)};
		history->next = (history->next + 1) % TOP_SAMPLES;
		history->count += history->count < TOP_SAMPLES;
	}
}

void top_model_series(const struct top_model *model, const char *gpu, int64_t from_ms,
		      bool of_memory, double *ret_values, size_t count)
{
	int64_t length_ms = model->now_ms - from_ms;
	for (size_t i = 0; i < count; i++)
		ret_values[i] = -1;

	for (size_t h = 0; h < model->history_count; h++) {
		const struct top_history *history = &model->histories[h];
		for (size_t i = 0; i < history->count && strcmp(history->gpu, gpu) == 0; i++) {
			const struct top_sample *sample = &history->samples[i];
			double value = of_memory ? sample->memory : sample->load;
			if (sample->at_ms <= from_ms || sample->at_ms > model->now_ms)
				continue;

			size_t at = (size_t)((sample->at_ms - from_ms - 1) * (int64_t)count /
					     length_ms);
			if (value > ret_values[at])
				ret_values[at] = value;
		}
	}
}
