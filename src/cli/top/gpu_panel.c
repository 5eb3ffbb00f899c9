/* gpu_panel: unknown figures are left out or said to be unknown, never shown as zero. */
#include "cli/top/gpu_panel.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/clean_text.h"
#include "cli/field.h"
#include "cli/text_table.h"
#include "cli/top/glyphs.h"
#include "cli/units.h"

enum {
	NAME_BYTES = 64,
	NAME_COLUMNS_MAX = 16,
	BAR_MIN = 10,
	BAR_MAX = 60,
	SERIES_MIN = 12,
	SERIES_MAX = 120,
	DETAILS_MAX = 9,
	DETAIL_BYTES = 72,
};

struct details {
	char texts[DETAILS_MAX][DETAIL_BYTES];
	char styles[DETAILS_MAX];
	size_t count;
};

size_t gpu_panel_name_width(const struct top_model *model)
{
	size_t width = 4, i;
	json_t *gpu;
	json_array_foreach (json_object_get(model->status, "gpus"), i, gpu) {
		size_t own = text_table_width(field_text(gpu, "name", "?"));
		width = own > width ? own : width;
	}
	return width > NAME_COLUMNS_MAX ? NAME_COLUMNS_MAX : width;
}

/* ---- the memory line ---- */

static struct glyphs_memory memory_of(const json_t *gpu)
{
	const json_t *measured = json_object_get(gpu, "measured");
	return (struct glyphs_memory){
		.total = field_number(gpu, "vram_mb_total", -1),
		.granted = field_number(gpu, "vram_mb_granted", -1),
		.used = field_number(gpu, "vram_mb_used", -1),
		.unmanaged = field_number(gpu, "vram_mb_unmanaged", -1),
		.reserved = field_number(measured, "vram_mb_reserved", -1),
	};
}

static void memory_words(const struct glyphs_memory *memory, char *out, size_t size)
{
	char amount[UNITS_BYTES], total[UNITS_BYTES];
	bool measured = memory->used >= 0;

	units_mb(amount, measured ? memory->used : memory->granted);
	if (memory->total > 0)
		snprintf(out, size, "%s of %s %s", amount, units_mb(total, memory->total),
			 measured ? "used" : "granted");
	else
		snprintf(out, size, "%s %s, total unknown", amount, measured ? "used" : "granted");
}

static void add_memory_line(const struct gpu_panel *panel, const json_t *gpu,
			    const struct glyphs_memory *memory, struct text_table *out)
{
	char name[NAME_BYTES], words[96];
	struct buf bar = {0};
	bool healthy = field_true(gpu, "healthy");
	clean_text(name, sizeof(name), field_text(gpu, "name", "?"), panel->utf8);
	memory_words(memory, words, sizeof(words));

	char *cut = text_table_cut(name, panel->name_width);
	char slots[48];
	snprintf(slots, sizeof(slots), "%" PRIu64 "/%" PRIu64, field_u64(gpu, "slots_used"),
		 field_u64(gpu, "slots"));

	size_t own = panel->name_width + 2 + strlen(slots) + 2 + strlen(words) + 2;
	size_t room = panel->width > own ? panel->width - own : 0;
	if (room >= BAR_MIN && healthy)
		glyphs_memory_bar(&bar, memory, (unsigned)(room < BAR_MAX ? room : BAR_MAX),
				  panel->utf8);
	buf_append(&bar, "", 1);

	int padding = (int)(panel->name_width - text_table_width(cut));
	text_table_add(out, "%c%s%*s%c  %s  %s%s%c%s", STYLE_BOLD, cut, padding, "", STYLE_PLAIN,
		       slots, buf_data(&bar), bar.length > 1 ? "  " : "",
		       healthy ? STYLE_PLAIN : STYLE_BAD, healthy ? words : "does not work");
	free(cut);
	buf_finish(&bar);
}

/* ---- the line over time ---- */

__attribute__((format(printf, 3, 4))) static void add_detail(struct details *details, char style,
							     const char *format, ...)
{
	va_list args;
	if (details->count == DETAILS_MAX)
		return;
	va_start(args, format);
	vsnprintf(details->texts[details->count], DETAIL_BYTES, format, args);
	va_end(args);
	details->styles[details->count++] = style;
}

/* The most important first: what does not fit is left out from the end. */
static void collect_details(const json_t *gpu, const struct glyphs_memory *memory, bool utf8,
			    struct details *details)
{
	char text[UNITS_BYTES], model[DETAIL_BYTES];
	const json_t *measured = json_object_get(gpu, "measured");
	double celsius = field_number(measured, "temperature_c", -1);
	double watts = field_number(measured, "power_w", -1);
	double draining_mb = field_number(gpu, "vram_mb_draining", 0);
	bool unseen = json_is_false(json_object_get(measured, "processes_known")) &&
		      strcmp(field_text(measured, "state", ""), "ok") == 0;

	if (memory->unmanaged > 0)
		add_detail(details, STYLE_WARN, "%s unmanaged", units_mb(text, memory->unmanaged));
	if (memory->used >= 0)
		add_detail(details, STYLE_PLAIN, "%s granted", units_mb(text, memory->granted));
	if (draining_mb > 0)
		add_detail(details, STYLE_WARN, "%s not free yet", units_mb(text, draining_mb));
	if (unseen)
		add_detail(details, STYLE_WARN, "%s", "processes unknown");
	if (celsius >= 0)
		add_detail(details, celsius >= 85 ? STYLE_WARN : STYLE_PLAIN, "%.0f C", celsius);
	if (watts >= 0)
		add_detail(details, STYLE_PLAIN, "%.0f W", watts);
	if (memory->reserved > 0)
		add_detail(details, STYLE_DIM, "%s reserved", units_mb(text, memory->reserved));
	if (field_true(measured, "unified"))
		add_detail(details, STYLE_DIM, "%s", "the machine's memory");
	if (*field_text(measured, "model", ""))
		add_detail(
			details, STYLE_DIM, "%s",
			clean_text(model, sizeof(model), field_text(measured, "model", ""), utf8));
}

static void append_series(const struct gpu_panel *panel, const json_t *gpu, bool of_memory,
			  size_t width, struct buf *out)
{
	double values[SERIES_MAX];
	char style = of_memory ? STYLE_DIM : STYLE_GOOD;
	top_model_series(panel->model, field_text(gpu, "name", "?"),
			 panel->model->now_ms - panel->span_ms, of_memory, values, width);
	buf_append(out, &style, 1);
	glyphs_series(out, values, width, panel->utf8);
	buf_printf(out, "%c", STYLE_PLAIN);
}

static void add_time_line(const struct gpu_panel *panel, const json_t *gpu,
			  const struct glyphs_memory *memory, struct text_table *out)
{
	bool measured;
	double load = top_model_load(gpu, &measured);
	char label[32] = "turns";
	struct details details = {.count = 0};
	struct buf line = {0};

	if (measured)
		snprintf(label, sizeof(label), "load %3.0f%%", load * 100);
	collect_details(gpu, memory, panel->utf8, &details);

	/* Without a total nobody can say how full it is. */
	size_t lines = memory->total > 0 ? 2 : 1, used = 0, shown = 0;
	size_t fixed = 2 + strlen(label) + 1 + (lines == 2 ? strlen("  mem ") : 0) + 2;
	for (; shown < details.count; shown++) {
		size_t more = text_table_width(details.texts[shown]) + 2;
		if (fixed + used + more + lines * SERIES_MIN > panel->width)
			break;
		used += more;
	}

	size_t room = panel->width > fixed + used ? (panel->width - fixed - used) / lines : 0;
	room = room > SERIES_MAX ? SERIES_MAX : room;
	buf_printf(&line, "  %s ", label);
	append_series(panel, gpu, false, room, &line);
	if (lines == 2) {
		buf_append_text(&line, "  mem ");
		append_series(panel, gpu, true, room, &line);
	}

	for (size_t i = 0; i < shown; i++)
		buf_printf(&line, "  %c%s%c", details.styles[i], details.texts[i], STYLE_PLAIN);
	buf_append(&line, "", 1);
	text_table_add(out, "%s", buf_data(&line));
	buf_finish(&line);
}

/* Why figures are missing, and since when. */
static void add_trouble_line(const struct gpu_panel *panel, const json_t *measured,
			     struct text_table *out)
{
	char clean[256], age[UNITS_BYTES] = "";
	const char *state = field_text(measured, "state", "ok");
	const char *text = field_text(measured, "text", "");
	double age_s = field_number(measured, "age_s", -1);
	if (strcmp(state, "ok") == 0)
		return;

	bool calm = strcmp(state, "asleep") == 0 || strcmp(state, "idle") == 0;
	if (age_s >= 0)
		units_duration(age, age_s);
	text_table_add(out, "  %c%s%s%s: %s", calm ? STYLE_DIM : STYLE_WARN, state,
		       *age ? ", unknown for " : "", age,
		       clean_text(clean, sizeof(clean), text, panel->utf8));
}

void gpu_panel_add(const struct gpu_panel *panel, const json_t *gpu, struct text_table *out)
{
	struct glyphs_memory memory = memory_of(gpu);
	const json_t *measured = json_object_get(gpu, "measured");
	add_memory_line(panel, gpu, &memory, out);
	if (panel->compact)
		return;

	add_time_line(panel, gpu, &memory, out);
	if (measured)
		add_trouble_line(panel, measured, out);
}
