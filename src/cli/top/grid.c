/* grid: knows neither JSON nor the terminal. */
#include "cli/top/grid.h"
#include "base/buf.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { GAP = 2, NAME_MIN = 8, TEXT_MIN = 16 };

void grid_init(struct grid *grid, const struct grid_column *columns, size_t count)
{
	*grid = (struct grid){.columns = columns, .column_count = count};
}

void grid_finish(struct grid *grid)
{
	for (size_t i = 0; i < grid->cell_count; i++)
		free(grid->cells[i].text);
	free(grid->cells);
	free(grid->ids);
	free(grid->order);
	grid_init(grid, grid->columns, grid->column_count);
}

void grid_row(struct grid *grid, uint64_t id)
{
	grid->ids = reallocarray(grid->ids, grid->rows + 1, sizeof(*grid->ids));
	grid->order = reallocarray(grid->order, grid->rows + 1, sizeof(*grid->order));
	if (!grid->ids || !grid->order)
		abort();

	grid->order[grid->rows] = grid->rows;
	grid->ids[grid->rows++] = id;
	grid->shown = grid->rows;
}

void grid_cell(struct grid *grid, enum text_table_style style, double value, const char *format,
	       ...)
{
	struct grid_cell cell = {.value = value, .style = style};
	va_list args;
	va_start(args, format);
	if (vasprintf(&cell.text, format, args) < 0)
		abort();
	va_end(args);

	if (grid->cell_count == grid->cell_capacity) {
		grid->cell_capacity = grid->cell_capacity ? 2 * grid->cell_capacity : 64;
		grid->cells = reallocarray(grid->cells, grid->cell_capacity, sizeof(*grid->cells));
		if (!grid->cells)
			abort();
	}
	grid->cells[grid->cell_count++] = cell;
}

static const struct grid_cell *cell_at(const struct grid *grid, size_t row, size_t column)
{
	return &grid->cells[row * grid->column_count + column];
}

/* ---- order ---- */

static bool row_matches(const struct grid *grid, size_t row, const char *filter)
{
	for (size_t i = 0; i < grid->column_count; i++)
		if (strcasestr(cell_at(grid, row, i)->text, filter))
			return true;
	return false;
}

/* Unknown is neither small nor large: it comes last, whichever way is sorted. */
static int compare_cells(const struct grid_cell *a, const struct grid_cell *b, bool reverse)
{
	int order = strcasecmp(a->text, b->text);
	if (!isnan(a->value) || !isnan(b->value)) {
		if (isnan(a->value) || isnan(b->value))
			return isnan(a->value) - isnan(b->value);
		order = (a->value > b->value) - (a->value < b->value);
	}
	return reverse ? -order : order;
}

void grid_arrange(struct grid *grid, int column, bool reverse, const char *filter)
{
	grid->shown = 0;

	for (size_t row = 0; row < grid->rows; row++) {
		size_t at = grid->shown;
		if (!row_matches(grid, row, filter))
			continue;

		/* Insertion keeps equal rows in the broker's order. */
		for (; column >= 0 && at > 0; at--) {
			const struct grid_cell *before =
				cell_at(grid, grid->order[at - 1], (size_t)column);
			if (compare_cells(before, cell_at(grid, row, (size_t)column), reverse) <= 0)
				break;
			grid->order[at] = grid->order[at - 1];
		}
		grid->order[at] = row;
		grid->shown++;
	}
}

size_t grid_find(const struct grid *grid, uint64_t id)
{
	for (size_t at = 0; at < grid->shown; at++)
		if (grid->ids[grid->order[at]] == id)
			return at;
	return SIZE_MAX;
}

/* ---- widths ---- */

static size_t line_width(const struct grid *grid, const struct grid_widths *widths)
{
	size_t width = 0;
	for (size_t i = 0; i < grid->column_count; i++)
		if (widths->columns[i])
			width += widths->columns[i] + (width ? GAP : 0);
	return width;
}

/* What a column may be cut to before it is left out. */
static size_t least_width(const struct grid *grid, size_t column, size_t natural)
{
	enum grid_kind kind = grid->columns[column].kind;
	size_t least = kind == GRID_NAME ? NAME_MIN : kind == GRID_TEXT ? TEXT_MIN : natural;
	return least < natural ? least : natural;
}

/* Leaves out the least important columns until the rest, as short as may be, fits. */
static void drop_columns(const struct grid *grid, size_t width, struct grid_widths *least,
			 struct grid_widths *natural)
{
	while (line_width(grid, least) > width) {
		size_t worst = SIZE_MAX, left = 0;
		for (size_t i = 0; i < grid->column_count; i++) {
			left += least->columns[i] > 0;
			if (least->columns[i] &&
			    (worst == SIZE_MAX ||
			     grid->columns[i].rank > grid->columns[worst].rank))
				worst = i;
		}

		if (left <= 1) {
			if (worst != SIZE_MAX)
				least->columns[worst] = natural->columns[worst] = width;
			return;
		}
		least->columns[worst] = natural->columns[worst] = 0;
	}
}

void grid_fit(const struct grid *grid, size_t width, unsigned hidden, struct grid_widths *ret)
{
	struct grid_widths least = {0}, natural = {0};

	for (size_t i = 0; i < grid->column_count; i++) {
		if (hidden & 1u << i)
			continue;
		natural.columns[i] = text_table_width(grid->columns[i].title);
		for (size_t at = 0; at < grid->shown; at++) {
			size_t own = text_table_width(cell_at(grid, grid->order[at], i)->text);
			if (own > natural.columns[i])
				natural.columns[i] = own;
		}
		least.columns[i] = least_width(grid, i, natural.columns[i]);
	}

	*ret = natural;
	if (width == 0 || line_width(grid, &natural) <= width)
		return;

	/* Names first, then the sentence, get back what is left. */
	drop_columns(grid, width, &least, &natural);
	size_t left = width - line_width(grid, &least);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < grid->column_count; i++) {
			bool is_text = grid->columns[i].kind == GRID_TEXT;
			size_t more = natural.columns[i] - least.columns[i];
			size_t taken = more < left ? more : left;
			if (is_text != (pass == 1) || least.columns[i] == 0)
				continue;
			least.columns[i] += taken;
			left -= taken;
		}
	}
	*ret = least;
}

/* ---- lines ---- */

static void add_field(struct buf *out, const char *text, size_t width, bool right, bool last)
{
	char *cut = text_table_cut(text, width);
	size_t own = text_table_width(cut);
	int padding = own < width ? (int)(width - own) : 0;
	buf_printf(out, "%*s%s%*s", right ? padding : 0, "", cut, right || last ? 0 : padding, "");
	free(cut);
}

static size_t last_column(const struct grid *grid, const struct grid_widths *widths)
{
	size_t last = 0;
	for (size_t i = 0; i < grid->column_count; i++)
		last = widths->columns[i] ? i : last;
	return last;
}

void grid_titles(const struct grid *grid, const struct grid_widths *widths, struct buf *out)
{
	size_t last = last_column(grid, widths);
	buf_printf(out, "%c", STYLE_DIM);

	for (size_t i = 0; i <= last; i++) {
		if (!widths->columns[i])
			continue;
		add_field(out, grid->columns[i].title, widths->columns[i],
			  grid->columns[i].kind == GRID_NUMBER, i == last);
		buf_append_text(out, i == last ? "" : "  ");
	}
	buf_printf(out, "%c", STYLE_PLAIN);
}

void grid_line(const struct grid *grid, const struct grid_widths *widths, size_t at, bool marked,
	       struct buf *out)
{
	size_t last = last_column(grid, widths);
	if (marked)
		buf_printf(out, "%c", STYLE_MARK);

	for (size_t i = 0; i <= last; i++) {
		const struct grid_cell *cell = cell_at(grid, grid->order[at], i);
		bool styled = !marked && cell->style != STYLE_PLAIN;
		if (!widths->columns[i])
			continue;

		if (styled)
			buf_printf(out, "%c", cell->style);
		add_field(out, cell->text, widths->columns[i], grid->columns[i].kind == GRID_NUMBER,
			  i == last && !marked);
		if (styled)
			buf_printf(out, "%c", STYLE_PLAIN);
		buf_append_text(out, i == last ? "" : "  ");
	}
	if (marked)
		buf_printf(out, "%c", STYLE_PLAIN);
}
