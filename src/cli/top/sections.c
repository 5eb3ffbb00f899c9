/* sections: the broker's rows in words. What a GPU itself does is gpu_panel's. */
#include "cli/top/sections.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/claim_words.h"
#include "cli/clean_text.h"
#include "cli/field.h"
#include "cli/process_words.h"
#include "cli/top/grid.h"
#include "cli/top/top_model.h"
#include "cli/units.h"

enum { TEXT_BYTES = CLAIM_WORDS_BYTES };

const char *const top_section_names[TOP_SECTION_COUNT] = {"holders", "queue", "processes",
							  "timeline"};

static const struct grid_column holder_columns[] = {
	{"LEASE", GRID_NUMBER, 3}, {"HOLDER", GRID_NAME, 0},    {"CLASS", GRID_WORD, 5},
	{"GPU", GRID_NAME, 4},     {"GRANTED", GRID_NUMBER, 6}, {"USED", GRID_NUMBER, 7},
	{"HELD", GRID_NUMBER, 2},  {"STATE", GRID_TEXT, 1},
};

static const struct grid_column queue_columns[] = {
	{"#", GRID_NUMBER, 4},      {"CLAIM", GRID_NUMBER, 6},  {"WAITER", GRID_NAME, 0},
	{"CLASS", GRID_WORD, 7},    {"WAITED", GRID_NUMBER, 3}, {"ETA", GRID_NUMBER, 5},
	{"LATEST", GRID_NUMBER, 1}, {"WHY", GRID_TEXT, 2},
};

static const struct grid_column process_columns[] = {
	{"PID", GRID_NUMBER, 1},    {"COMMAND", GRID_NAME, 0}, {"GPU", GRID_NAME, 4},
	{"MEMORY", GRID_NUMBER, 2}, {"USE", GRID_WORD, 6},     {"SEEN", GRID_NUMBER, 5},
	{"LEASE", GRID_TEXT, 3},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

const struct grid_column *sections_columns(enum top_section section, size_t *ret_count)
{
	switch (section) {
	case TOP_HOLDERS:
		*ret_count = COUNT(holder_columns);
		return holder_columns;
	case TOP_QUEUE:
		*ret_count = COUNT(queue_columns);
		return queue_columns;
	case TOP_PROCESSES:
		*ret_count = COUNT(process_columns);
		return process_columns;
	case TOP_TIMELINE:
	case TOP_SECTION_COUNT:
		break;
	}
	*ret_count = 0;
	return NULL;
}

/* ---- cells ---- */

static void text_cell(struct grid *grid, enum text_table_style style, const char *text, bool utf8)
{
	char clean[TEXT_BYTES];
	grid_cell(grid, style, NAN, "%s", clean_text(clean, sizeof(clean), text, utf8));
}

static void count_cell(struct grid *grid, uint64_t number)
{
	if (number)
		grid_cell(grid, STYLE_PLAIN, (double)number, "%" PRIu64, number);
	else
		grid_cell(grid, STYLE_PLAIN, NAN, "%s", "-");
}

static void duration_cell(struct grid *grid, double seconds)
{
	char text[UNITS_BYTES];
	grid_cell(grid, STYLE_PLAIN, seconds >= 0 ? seconds : NAN, "%s",
		  units_duration(text, seconds));
}

/* Unknown is "?", and none where none was asked for "-". */
static void memory_cell(struct grid *grid, double mb, const char *unknown)
{
	char text[UNITS_BYTES];
	grid_cell(grid, STYLE_PLAIN, mb >= 0 ? mb : NAN, "%s",
		  mb >= 0 ? units_mb(text, mb) : unknown);
}

static void name_cell(struct grid *grid, const json_t *claim, bool utf8)
{
	char words[CLAIM_WORDS_BYTES];
	claim_words_name(claim, words);
	text_cell(grid, STYLE_BOLD, words, utf8);
}

/* ---- holders ---- */

static void gpus_cell(struct grid *grid, const json_t *lease, bool utf8)
{
	char words[CLAIM_WORDS_BYTES];
	claim_words_gpus(lease, words);
	text_cell(grid, STYLE_PLAIN, words, utf8);
}

static void state_cell(struct grid *grid, const json_t *lease, bool utf8)
{
	char words[CLAIM_WORDS_BYTES];
	enum text_table_style style = claim_words_state(lease, words);
	text_cell(grid, style, words, utf8);
}

static void add_holder(const json_t *lease, bool utf8, struct grid *grid)
{
	double granted_mb = field_number(lease, "vram_mb", 0);
	uint64_t id = field_u64(lease, "lease");

	grid_row(grid, id);
	count_cell(grid, id);
	name_cell(grid, lease, utf8);
	text_cell(grid, STYLE_PLAIN, field_text(lease, "class", "?"), utf8);
	gpus_cell(grid, lease, utf8);
	memory_cell(grid, granted_mb > 0 ? granted_mb : -1, "-");
	memory_cell(grid, field_number(lease, "vram_mb_measured", -1), "?");
	duration_cell(grid, field_number(lease, "held_s", -1));
	state_cell(grid, lease, utf8);
}

/* ---- the queue ---- */

/* How long it waits from now on at most: what was promised, not what is expected. */
static double latest_s(const struct top_model *model, const json_t *waiter)
{
	int64_t by_ms = timeline_parse_time(field_text(waiter, "guaranteed_by", ""));
	double left_s = (double)(by_ms - model->now_ms) / 1000;
	if (by_ms < 0 || model->now_ms < 0)
		return -1;
	return left_s > 0 ? left_s : 0;
}

static void latest_cell(const struct top_model *model, const json_t *waiter, struct grid *grid)
{
	char text[UNITS_BYTES];
	double left_s = latest_s(model, waiter);
	if (left_s >= 0)
		grid_cell(grid, STYLE_PLAIN, left_s, "%s", units_duration(text, left_s));
	else
		grid_cell(grid, STYLE_WARN, NAN, "%s", "none");
}

static void why_cell(struct grid *grid, const json_t *waiter, bool utf8)
{
	char words[CLAIM_WORDS_BYTES];
	enum text_table_style style = claim_words_waiter(waiter, words);
	text_cell(grid, style, words, utf8);
}

static void add_waiter(const struct top_model *model, const json_t *waiter, bool utf8,
		       struct grid *grid)
{
	double position = field_number(waiter, "position", -1);

	grid_row(grid, field_u64(waiter, "lease"));
	grid_cell(grid, STYLE_PLAIN, position >= 0 ? position : NAN, "%.0f", position + 1);
	count_cell(grid, field_u64(waiter, "lease"));
	name_cell(grid, waiter, utf8);
	text_cell(grid, STYLE_PLAIN, field_text(waiter, "class", "?"), utf8);
	duration_cell(grid, field_number(waiter, "waited_s", -1));
	duration_cell(grid, field_number(waiter, "eta_s", -1));
	latest_cell(model, waiter, grid);
	why_cell(grid, waiter, utf8);
}

/* ---- processes ---- */

/* One process may use several GPUs; one whose pid nobody knows is known by its place. */
static uint64_t process_id(const json_t *process, size_t gpu, size_t at)
{
	uint64_t pid = field_u64(process, "pid");
	return (pid ? pid : UINT32_MAX + at) * TOP_GPUS_MAX + gpu;
}

static void add_process(const json_t *gpu, const json_t *process, uint64_t id, bool utf8,
			struct grid *grid)
{
	char whose[PROCESS_WORDS_BYTES];
	enum text_table_style style = process_words_holder(process, whose);

	grid_row(grid, id);
	count_cell(grid, field_u64(process, "pid"));
	text_cell(grid, STYLE_BOLD, field_text(process, "command", "?"), utf8);
	text_cell(grid, STYLE_PLAIN, field_text(gpu, "name", "?"), utf8);
	memory_cell(grid, field_number(process, "vram_mb", -1), "?");
	text_cell(grid, STYLE_PLAIN, field_text(process, "use", "?"), utf8);
	duration_cell(grid, field_number(process, "since_s", -1));

	text_cell(grid, style == STYLE_GOOD ? STYLE_PLAIN : style, whose, utf8);
}

static void fill_processes(const struct top_model *model, bool utf8, struct grid *grid)
{
	size_t i, n;
	json_t *gpu, *process;
	json_array_foreach (json_object_get(model->status, "gpus"), i, gpu) {
		const json_t *measured = json_object_get(gpu, "measured");
		json_array_foreach (json_object_get(measured, "processes"), n, process)
			add_process(gpu, process, process_id(process, i, n), utf8, grid);
	}
}

/* ---- all of them ---- */

void sections_fill(const struct top_model *model, enum top_section section, bool utf8,
		   struct grid *grid)
{
	size_t count, i;
	json_t *row;
	const struct grid_column *columns = sections_columns(section, &count);
	grid_init(grid, columns, count);

	if (section == TOP_HOLDERS) {
		json_array_foreach (json_object_get(model->status, "leases"), i, row)
			add_holder(row, utf8, grid);
	} else if (section == TOP_QUEUE) {
		json_array_foreach (json_object_get(model->status, "waiting"), i, row)
			add_waiter(model, row, utf8, grid);
	} else if (section == TOP_PROCESSES) {
		fill_processes(model, utf8, grid);
	}
}

static uint64_t claim_of_process(const struct top_model *model, uint64_t id, const char **ret_name)
{
	size_t i, n;
	json_t *gpu, *process;
	json_array_foreach (json_object_get(model->status, "gpus"), i, gpu) {
		const json_t *measured = json_object_get(gpu, "measured");
		json_array_foreach (json_object_get(measured, "processes"), n, process) {
			if (process_id(process, i, n) != id)
				continue;
			*ret_name = field_text(process, "client", "?");
			return field_u64(process, "lease");
		}
	}
	return 0;
}

uint64_t sections_claim(const struct top_model *model, enum top_section section, uint64_t id,
			const char **ret_name)
{
	const char *list = section == TOP_QUEUE ? "waiting" : "leases";
	size_t i;
	json_t *row;
	if (section == TOP_PROCESSES)
		return claim_of_process(model, id, ret_name);

	json_array_foreach (json_object_get(model->status, list), i, row) {
		if (field_u64(row, "lease") != id || section == TOP_TIMELINE)
			continue;
		*ret_name = field_text(row, "id", "?");
		return id;
	}
	return 0;
}
