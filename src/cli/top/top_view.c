/* top_view: head, GPUs, lists, foot, in this order; what does not fit is said to be there. */
#include "cli/top/top_view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/clean_text.h"
#include "cli/field.h"
#include "cli/top/gpu_panel.h"
#include "cli/top/top_ui.h"
#include "cli/units.h"

enum {
	WIDTH_UNLIMITED = 100, /* of bars where lines have no limit */
	BAND_NAME_MAX = 24,
	HEIGHT_LEAST = 3,
	LINE_BYTES = 1024,
};

struct view {
	const struct top_model *model;
	const struct top_lists *lists;
	struct top_ui *ui;
	size_t width, height; /* 0: no limit */
	struct text_table *out;
};

/* Cuts the line at the edge; a style that is open there ends with the line. */
__attribute__((format(printf, 2, 3))) static void add_line(const struct view *view,
							   const char *format, ...)
{
	char *text;
	va_list args;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);

	char *cut = text_table_cut(text, view->width);
	text_table_add(view->out, "%s", cut);
	free(cut);
	free(text);
}

static void add_buf(const struct view *view, struct buf *line)
{
	buf_append(line, "", 1);
	add_line(view, "%s", buf_data(line));
	buf_finish(line);
}

/* ---- head ---- */

static void add_head(const struct view *view)
{
	const json_t *status = view->model->status;
	char text[LINE_BYTES], version[64], uptime[UNITS_BYTES];
	const char *clock = view->model->clock;
	if (!status) {
		add_line(view, "%cbaton top%c", STYLE_BOLD, STYLE_PLAIN);
		return;
	}

	clean_text(version, sizeof(version), field_text(status, "version", "?"), view->ui->utf8);
	snprintf(text, sizeof(text), "%cbaton %s%c  up %s  %" PRIu64 " hold  %" PRIu64 " wait",
		 STYLE_BOLD, version, STYLE_PLAIN,
		 units_duration(uptime, field_number(status, "uptime_s", -1)),
		 field_u64(status, "held"), field_u64(status, "queue_depth"));

	size_t own = text_table_width(text) + 2 + strlen(clock);
	if (*clock && view->width >= own)
		add_line(view, "%s%*s%c%s", text, (int)(view->width - own) + 2, "", STYLE_DIM,
			 clock);
	else
		add_line(view, "%s", text);
}

/* Everything that stops grants, makes them worth nothing, or makes what is below old. */
static void add_alerts(const struct view *view)
{
	const json_t *status = view->model->status;
	const json_t *grants = json_object_get(status, "grants");
	char clean[LINE_BYTES], left[UNITS_BYTES] = "";
	const char *reason = field_text(grants, "reason", "");
	double left_s = field_number(grants, "remaining_s", -1);
	bool utf8 = view->ui->utf8;

	if (view->model->trouble[0])
		add_line(view, "%c%s", STYLE_BAD,
			 clean_text(clean, sizeof(clean), view->model->trouble, utf8));
	if (strcmp(field_text(status, "mode", ""), "observe") == 0)
		add_line(view, "%cobserve: nothing is enforced and nobody is protected",
			 STYLE_WARN);
	if (field_true(status, "paused"))
		add_line(view, "%cpaused: nothing is granted. %s", STYLE_WARN,
			 clean_text(clean, sizeof(clean), field_text(status, "paused_reason", ""),
				    utf8));
	if (field_true(status, "draining"))
		add_line(view, "%cthe broker is stopping", STYLE_WARN);

	if (strcmp(reason, "journal") != 0 && strcmp(reason, "in_doubt") != 0)
		return;
	if (left_s >= 0)
		units_duration(left, left_s);
	add_line(view, "%cnothing is granted%s%s: %s", STYLE_BAD, *left ? " for another " : "",
		 left, clean_text(clean, sizeof(clean), field_text(grants, "text", reason), utf8));
}

/* ---- GPUs ---- */

static void add_gpus(const struct view *view)
{
	const json_t *gpus = json_object_get(view->model->status, "gpus"), *gpu;
	size_t count = json_array_size(gpus), room = view->height / 3, i;
	struct gpu_panel panel = {
		.model = view->model,
		.width = view->width ? view->width : WIDTH_UNLIMITED,
		.name_width = gpu_panel_name_width(view->model),
		.span_ms = top_ui_span_ms(view->ui),
		.utf8 = view->ui->utf8,
		.compact = view->height && 3 * count > room + 1,
	};
	size_t shown = count;
	if (panel.compact && count > (room ? room : 1))
		shown = room > 1 ? room - 1 : 1;

	struct text_table lines = {0};
	json_array_foreach (gpus, i, gpu) {
		if (i < shown)
			gpu_panel_add(&panel, gpu, &lines);
	}
	for (i = 0; i < lines.count; i++)
		add_line(view, "%s", lines.lines[i]);
	text_table_finish(&lines);

	if (shown < count)
		add_line(view, "%cand %zu more GPUs; a higher terminal shows them", STYLE_DIM,
			 count - shown);
}

/* ---- lists ---- */

void top_view_share(const size_t need[TOP_SECTION_COUNT], const size_t least[TOP_SECTION_COUNT],
		    size_t room, enum top_section focus, size_t ret_lines[TOP_SECTION_COUNT])
{
	bool grown = true;
	memset(ret_lines, 0, TOP_SECTION_COUNT * sizeof(*ret_lines));

	/* First a few lines for each, the one in focus before the others. */
	for (size_t i = 0; i < TOP_SECTION_COUNT; i++) {
		size_t section = i == 0 ? focus : i <= focus ? i - 1 : i;
		if (need[section] == 0 || least[section] > room)
			continue;
		ret_lines[section] = least[section];
		room -= least[section];
	}

	/* Then one each in turn, and two for the one in focus. */
	while (room > 0 && grown) {
		grown = false;
		for (size_t section = 0; section < TOP_SECTION_COUNT; section++) {
			size_t more = section == (size_t)focus ? 2 : 1;
			for (; more > 0 && room > 0; more--) {
				if (!ret_lines[section] || ret_lines[section] == need[section])
					break;
				ret_lines[section]++;
				room--;
				grown = true;
			}
		}
	}
}

/* What is missing in the list of processes: those left off, and those that may not be looked at. */
static void add_missing_processes(const struct top_model *model, struct buf *line)
{
	uint64_t left_off = 0;
	bool partial = false;
	size_t i;
	json_t *gpu;
	json_array_foreach (json_object_get(model->status, "gpus"), i, gpu) {
		const json_t *measured = json_object_get(gpu, "measured");
		left_off += field_u64(measured, "processes_left_off");
		partial |= field_true(measured, "processes_partial");
	}

	if (left_off)
		buf_printf(line, " and %" PRIu64 " smaller ones", left_off);
	if (partial)
		buf_append_text(line, ", others cannot be seen");
}

/* "holders 3, by HELD, reversed, only 'train'" */
static void add_heading(const struct view *view, enum top_section section, size_t rows)
{
	struct buf line = {0};
	const struct top_ui *ui = view->ui;
	const struct top_list *list = &ui->lists[section];
	bool focus = view->height && section == ui->focus;
	size_t count;
	const struct grid_column *columns = sections_columns(section, &count);

	buf_printf(&line, "%c%s%s%c", focus ? STYLE_BOLD : STYLE_DIM,
		   !view->height ? ""
		   : focus       ? "> "
				 : "  ",
		   top_section_names[section], STYLE_PLAIN);
	if (section == TOP_TIMELINE)
		buf_printf(&line, " of the last %d min", (int)(top_ui_span_ms(ui) / 60000));
	else
		buf_printf(&line, " %zu", rows);
	if (section == TOP_PROCESSES)
		add_missing_processes(view->model, &line);

	if (columns && list->sort >= 0)
		buf_printf(&line, ", by %s", columns[list->sort].title);
	if (columns && list->reverse)
		buf_append_text(&line, ", reversed");
	if (ui->filter[0]) {
		char clean[TOP_FILTER_BYTES];
		buf_printf(&line, "%c, only '%s'%c", STYLE_WARN,
			   clean_text(clean, sizeof(clean), ui->filter, ui->utf8), STYLE_PLAIN);
	}
	add_buf(view, &line);
}

/* Scrolls so that the chosen row is among those seen. */
static void scroll_to_choice(struct top_list *list, size_t rows, size_t seen)
{
	if (seen == 0 || rows <= seen) {
		list->first = 0;
		return;
	}
	if (list->at < list->first)
		list->first = list->at;
	if (list->at >= list->first + seen)
		list->first = list->at - seen + 1;
	if (list->first + seen > rows)
		list->first = rows - seen;
}

static void add_grid(const struct view *view, enum top_section section, size_t lines)
{
	const struct grid *grid = &view->lists->grids[section];
	struct top_list *list = &view->ui->lists[section];
	struct grid_widths widths;
	struct buf line = {0};
	size_t seen = lines - 2 < grid->shown ? lines - 2 : grid->shown;

	add_heading(view, section, grid->shown);
	grid_fit(grid, view->width, list->hidden, &widths);
	grid_titles(grid, &widths, &line);
	add_buf(view, &line);
	scroll_to_choice(list, grid->shown, seen);

	for (size_t at = list->first; at < list->first + seen; at++) {
		bool marked = view->height && section == view->ui->focus && at == list->at;
		line = (struct buf){0};
		grid_line(grid, &widths, at, marked, &line);
		add_buf(view, &line);
	}
}

static void add_timeline(const struct view *view, size_t lines)
{
	const struct top_lists *lists = view->lists;
	struct top_list *list = &view->ui->lists[TOP_TIMELINE];
	const struct top_model *model = view->model;
	size_t seen = lines - 1 < lists->name_count ? lines - 1 : lists->name_count;
	size_t width = view->width ? view->width : WIDTH_UNLIMITED, name_width = 4;

	for (size_t i = 0; i < lists->name_count; i++) {
		size_t own = text_table_width(lists->names[i]);
		name_width = own > name_width ? own : name_width;
	}
	name_width = name_width > BAND_NAME_MAX ? BAND_NAME_MAX : name_width;
	name_width = name_width > width / 3 ? width / 3 : name_width;

	add_heading(view, TOP_TIMELINE, lists->name_count);
	scroll_to_choice(list, lists->name_count, seen);
	for (size_t at = list->first; at < list->first + seen; at++) {
		char name[TIMELINE_NAME_BYTES];
		struct buf line = {0};
		clean_text(name, sizeof(name), lists->names[at], view->ui->utf8);
		char *cut = text_table_cut(name, name_width ? name_width : 1);
		bool marked = view->height && view->ui->focus == TOP_TIMELINE && at == list->at;

		size_t own = text_table_width(cut);
		int padding = own < name_width ? (int)(name_width - own) : 0;
		buf_printf(&line, "%c%s%*s%c  ", marked ? STYLE_MARK : STYLE_BOLD, cut, padding, "",
			   STYLE_PLAIN);
		timeline_band(&model->timeline, lists->names[at],
			      model->now_ms - top_ui_span_ms(view->ui), model->now_ms,
			      (unsigned)(width > name_width + 2 ? width - name_width - 2 : 1),
			      view->ui->utf8, &line);
		add_buf(view, &line);
		free(cut);
	}
}

static void add_sections(const struct view *view, size_t room)
{
	size_t need[TOP_SECTION_COUNT], least[TOP_SECTION_COUNT], lines[TOP_SECTION_COUNT];

	for (enum top_section s = TOP_HOLDERS; s < TOP_SECTION_COUNT; s++) {
		size_t rows = top_lists_rows(view->lists, s), extra = s == TOP_TIMELINE ? 1 : 2;
		need[s] = rows ? rows + extra : 0;
		least[s] = 1 + extra;
		if (!view->height)
			lines[s] = need[s];
	}
	if (view->height)
		top_view_share(need, least, room, view->ui->focus, lines);

	for (enum top_section s = TOP_HOLDERS; s < TOP_TIMELINE; s++)
		if (lines[s])
			add_grid(view, s, lines[s]);
	if (lines[TOP_TIMELINE])
		add_timeline(view, lines[TOP_TIMELINE]);
}

/* ---- overlays ---- */

static void add_help(const struct view *view, size_t room)
{
	static const char *const lines[] = {
		"up down j k PgUp PgDn g G   choose a row",
		"Tab, Shift-Tab              next list, list before",
		"y   ask the holder to yield; a waiter: out of the queue",
		"r   revoke the lease at once (asks first)",
		"p   pause or resume grants (asks before a pause)",
		"s S sort by the next column; reverse",
		"/   show only rows with these letters; Esc: all",
		"c   choose columns",
		"t   1, 10 or 60 minutes over time",
		"q   quit",
		"",
		"memory: used, granted and not used, unmanaged, reserved:",
		NULL,
		"timeline: waiting, loading, holding, asked to yield:",
	};
	static const char *const marks[][2] = {{"  # - % :", "  \u2588 \u2591 \u2593 \u2592"},
					       {"  . + # %", "  \u2591 \u2592 \u2588 \u2593"}};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines) && used < room; i++, used++)
		add_line(view, "%s", lines[i] ? lines[i] : marks[0][view->ui->utf8]);
	if (used < room)
		add_line(view, "%s", marks[1][view->ui->utf8]);
}

static void add_columns_menu(const struct view *view, size_t room)
{
	size_t count, first = 0;
	const struct top_ui *ui = view->ui;
	const struct grid_column *columns = sections_columns(ui->focus, &count);
	if (room < 2)
		return;

	add_line(view, "%ccolumns of %s%c", STYLE_BOLD, top_section_names[ui->focus], STYLE_PLAIN);
	if (ui->menu_at >= room - 1)
		first = ui->menu_at - (room - 2);
	for (size_t i = first; i < count && i < first + room - 1; i++)
		add_line(view, "%c[%c] %s", i == ui->menu_at ? STYLE_MARK : STYLE_PLAIN,
			 ui->lists[ui->focus].hidden & 1u << i ? ' ' : 'x', columns[i].title);
}

static void add_foot(const struct view *view)
{
	const struct top_ui *ui = view->ui;
	char clean[sizeof(ui->notice)];

	switch (ui->mode) {
	case TOP_CONFIRM:
		add_line(view, "%c%s [y/N]", STYLE_BAD, ui->request.question);
		return;
	case TOP_FILTER:
		add_line(view, "%c/%s_%c  Enter keeps it, Esc shows all", STYLE_BOLD,
			 clean_text(clean, sizeof(clean), ui->filter, ui->utf8), STYLE_PLAIN);
		return;
	case TOP_COLUMNS:
		add_line(view, "%cspace shows or hides, c is done", STYLE_DIM);
		return;
	case TOP_HELP:
		add_line(view, "%cany key goes back", STYLE_DIM);
		return;
	case TOP_NORMAL:
		break;
	}

	if (ui->notice[0])
		add_line(view, "%c%s", ui->notice_bad ? STYLE_BAD : STYLE_BOLD,
			 clean_text(clean, sizeof(clean), ui->notice, ui->utf8));
	else
		add_line(view,
			 "%c? help  q quit  y yield  r revoke  p %s  s sort  / find  "
			 "c columns  t time",
			 STYLE_DIM, field_true(view->model->status, "paused") ? "resume" : "pause");
}

void top_view(const struct top_model *model, const struct top_lists *lists, struct top_ui *ui,
	      size_t width, size_t height, struct text_table *ret_lines)
{
	struct view view = {model, lists, ui, width, height, ret_lines};
	bool tiny = height && height < HEIGHT_LEAST;
	text_table_finish(ret_lines);

	add_head(&view);
	if (!tiny) {
		add_alerts(&view);
		if (!height || ret_lines->count + 1 < height)
			add_gpus(&view);
	}

	/* What the head and the GPUs leave, but for the foot. */
	size_t used = ret_lines->count + 1, room = height > used ? height - used : 0;
	if (ui->mode == TOP_HELP)
		add_help(&view, room);
	else if (ui->mode == TOP_COLUMNS)
		add_columns_menu(&view, room);
	else if (!tiny)
		add_sections(&view, room);
	if (!height)
		return;

	while (ret_lines->count >= height)
		free(ret_lines->lines[--ret_lines->count]);
	while (ret_lines->count + 1 < height)
		text_table_add(ret_lines, "%s", "");
	add_foot(&view);
}
