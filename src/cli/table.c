/* table: columns of text, fitted to the sheet's width: names are shortened first, the text at the
 * end is wrapped, and columns that do not fit go below their row with their titles. A sheet without
 * a width fits everything. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum {
	GAP = 2,
	NAME_MIN = 12,    /* shorter names are not recognised */
	NAME_FAIR = 20,   /* the least a name keeps before the text moves below the row */
	TEXT_MIN = 28,    /* narrower, a sentence is a column of words */
	BELOW_INDENT = 4, /* of columns below their row */
};

struct layout {
	size_t widths[TABLE_COLUMNS_MAX];
	size_t shown; /* columns in the row; the rest go below it */
	size_t columns;
};

void table_column(struct table *table, const char *title)
{
	if (table->column_count == TABLE_COLUMNS_MAX)
		abort();
	enum table_kind kind = title[0] == '>'   ? TABLE_NUMBER
			       : title[0] == '~' ? TABLE_NAME
			       : title[0] == '=' ? TABLE_TEXT
						 : TABLE_WORD;
	table->kinds[table->column_count] = kind;
	table->titles[table->column_count++] = title + (kind != TABLE_WORD);
}

void table_cell(struct table *table, enum text_table_style style, const char *format, ...)
{
	va_list args;
	char *text, *cell;
	va_start(args, format);
	int rc = vasprintf(&text, format, args);
	va_end(args);
	if (rc < 0 || asprintf(&cell, "%c%s%c", style, text, STYLE_PLAIN) < 0)
		abort();
	free(text);

	if (table->cell_count == table->cell_capacity) {
		table->cell_capacity = table->cell_capacity ? 2 * table->cell_capacity : 32;
		table->cells =
			reallocarray(table->cells, table->cell_capacity, sizeof(*table->cells));
		if (!table->cells)
			abort();
	}

	table->cells[table->cell_count++] = cell;
}

/* ---- the layout ---- */

static size_t row_width(const struct layout *layout)
{
	size_t width = layout->shown ? GAP * (layout->shown - 1) : 0;
	for (size_t i = 0; i < layout->shown; i++)
		width += layout->widths[i];
	return width;
}

static void measure_columns(const struct table *table, struct layout *layout)
{
	for (size_t i = 0; i < table->column_count; i++)
		layout->widths[i] = text_table_width(table->titles[i]);

	for (size_t i = 0; i < table->cell_count; i++) {
		size_t width = text_table_width(table->cells[i]);
		size_t *column = &layout->widths[i % table->column_count];
		*column = width > *column ? width : *column;
	}
}

/* Takes columns from the widest name until the row fits or no name is wider than `least`. */
static void shorten_names(const struct table *table, struct layout *layout, size_t columns,
			  size_t least)
{
	while (row_width(layout) > columns) {
		size_t *widest = NULL;
		for (size_t i = 0; i < layout->shown; i++)
			if (table->kinds[i] == TABLE_NAME && layout->widths[i] > least &&
			    (!widest || layout->widths[i] > *widest))
				widest = &layout->widths[i];
		if (!widest)
			return;
		(*widest)--;
	}
}

/* Keeps the text beside its row if both have a fair share of the width. */
static bool fits_beside(const struct table *table, struct layout *layout)
{
	struct layout tried = *layout;
	size_t *text = &tried.widths[tried.shown - 1];
	bool is_short = *text <= TEXT_MIN;
	*text = is_short ? *text : TEXT_MIN;

	shorten_names(table, &tried, tried.columns, is_short ? NAME_MIN : NAME_FAIR);
	if (row_width(&tried) > tried.columns)
		return false;

	*text += tried.columns - row_width(&tried);
	*layout = tried;
	return true;
}

static void lay_out(const struct table *table, size_t columns, struct layout *layout)
{
	*layout = (struct layout){.shown = table->column_count, .columns = columns};
	measure_columns(table, layout);
	if (columns == 0 || layout->shown == 0 || row_width(layout) <= columns)
		return;

	if (table->kinds[layout->shown - 1] == TABLE_TEXT) {
		if (fits_beside(table, layout))
			return;
		layout->shown--;
	}

	struct layout least = *layout;
	shorten_names(table, &least, columns, NAME_MIN);
	while (least.shown > 1 && row_width(&least) > columns)
		least.shown--;
	layout->shown = least.shown;
	shorten_names(table, layout, columns, least.shown > 1 ? NAME_MIN : 1);
}

/* ---- the lines ---- */

static void add_row(const struct table *table, const struct layout *layout,
		    const char *const *cells, enum text_table_style style, struct text_table *sheet)
{
	struct buf line = {0};
	size_t last = layout->shown - 1, text_from = 0;
	buf_printf(&line, "%c", style);

	for (size_t i = 0; i < layout->shown; i++) {
		bool is_text = table->kinds[i] == TABLE_TEXT;
		bool right = table->kinds[i] == TABLE_NUMBER;

		char *text =
			is_text ? strdup(cells[i]) : text_table_cut(cells[i], layout->widths[i]);
		size_t own = text_table_width(text);
		int padding = own < layout->widths[i] ? (int)(layout->widths[i] - own) : 0;
		int behind = i == last ? 0 : right ? GAP : padding + GAP;

		buf_printf(&line, "%*s%s%*s", right ? padding : 0, "", text, behind, "");
		text_from = is_text ? row_width(layout) - layout->widths[i] : 0;
		free(text);
	}

	buf_append(&line, "", 1);
	text_table_add_wrapped(sheet, buf_data(&line), text_from ? layout->columns : 0, text_from);
	buf_finish(&line);
}

/* The columns that do not fit, as "TITLE value". */
static void add_below(const struct table *table, const struct layout *layout,
		      const char *const *cells, struct text_table *sheet)
{
	struct buf line = {0};
	size_t used = 0;
	for (size_t i = layout->shown; i < table->column_count; i++) {
		size_t own = text_table_width(table->titles[i]) + 1 + text_table_width(cells[i]);

		if (used > 0 && (table->kinds[i] == TABLE_TEXT ||
				 BELOW_INDENT + used + GAP + own > layout->columns)) {
			buf_append(&line, "", 1);
			text_table_add_wrapped(sheet, buf_data(&line), layout->columns,
					       BELOW_INDENT);
			buf_clear(&line, SIZE_MAX);
			used = 0;
		}

		buf_printf(&line, "%*s%c%s%c %s", used ? GAP : BELOW_INDENT, "", STYLE_DIM,
			   table->titles[i], STYLE_PLAIN, cells[i]);
		used += own + (used ? GAP : 0);
	}

	buf_append(&line, "", 1);
	text_table_add_wrapped(sheet, buf_data(&line), layout->columns, BELOW_INDENT);
	buf_finish(&line);
}

void table_end(struct table *table, struct text_table *sheet)
{
	struct layout layout;
	lay_out(table, sheet->columns, &layout);
	add_row(table, &layout, table->titles, STYLE_DIM, sheet);

	for (size_t i = 0; i + table->column_count <= table->cell_count; i += table->column_count) {
		const char *const *cells = (const char *const *)table->cells + i;
		add_row(table, &layout, cells, STYLE_PLAIN, sheet);
		if (layout.shown < table->column_count)
			add_below(table, &layout, cells, sheet);
	}

	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct table){0};
}
