/* sheet: text in lines and tables, for people. It knows no JSON and no terminal library. Called by
 * status, why, events and the watch. */
#include "cli/sheet.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/buf.h"

enum { GAP = 2 };

__attribute__((format(printf, 1, 0))) static char *format_text(const char *format, va_list args)
{
	char *text;
	if (vasprintf(&text, format, args) < 0)
		abort();
	return text;
}

static void *grow(void *array, size_t *capacity, size_t item_size)
{
	*capacity = *capacity ? 2 * *capacity : 32;
	array = reallocarray(array, *capacity, item_size);
	if (!array)
		abort();
	return array;
}

static void add_line(struct sheet *sheet, char *line)
{
	if (sheet->count == sheet->capacity)
		sheet->lines = grow(sheet->lines, &sheet->capacity, sizeof(*sheet->lines));
	sheet->lines[sheet->count++] = line;
}

void sheet_add(struct sheet *sheet, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	add_line(sheet, format_text(format, args));
	va_end(args);
}

void sheet_finish(struct sheet *sheet)
{
	for (size_t i = 0; i < sheet->count; i++)
		free(sheet->lines[i]);
	free(sheet->lines);
	*sheet = (struct sheet){0};
}

bool sheet_color(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	if (no_color && *no_color)
		return false;
	return isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
}

static const char *ansi(char style)
{
	static const char *const codes[STYLE_END] = {
		[STYLE_PLAIN] = "\033[0m", [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",
		[STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[31m",
	};
	return codes[(size_t)style];
}

static bool is_style(char c)
{
	return c > 0 && c < STYLE_END;
}

void sheet_print(const struct sheet *sheet, FILE *out, bool color)
{
	for (size_t i = 0; i < sheet->count; i++) {
		bool styled = false;
		for (const char *c = sheet->lines[i]; *c; c++) {
			if (!is_style(*c)) {
				/* Words of other programs reach us; none may steer the terminal. */
				bool control = (unsigned char)*c < 0x20 || *c == 0x7f;
				fputc(control ? '?' : *c, out);
			} else if (color) {
				fputs(ansi(*c), out);
				styled = *c != STYLE_PLAIN;
			}
		}
		fputs(styled ? "\033[0m\n" : "\n", out);
	}
	fflush(out);
}

size_t sheet_width(const char *text)
{
	size_t width = 0;
	mbstate_t state = {0};
	while (*text) {
		wchar_t wide;
		size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
		if (bytes == (size_t)-1 || bytes == (size_t)-2) { /* not of this locale */
			memset(&state, 0, sizeof(state));
			width++;
			text++;
			continue;
		}
		int columns = wcwidth(wide);
		width += is_style(*text) ? 0 : columns < 0 ? 1 : (size_t)columns;
		text += bytes;
	}
	return width;
}

void table_column(struct table *table, const char *title)
{
	if (table->column_count == TABLE_COLUMNS_MAX)
		abort();
	table->right[table->column_count] = title[0] == '>';
	table->titles[table->column_count++] = title + (title[0] == '>');
}

void table_cell(struct table *table, enum sheet_style style, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	char *cell;
	if (asprintf(&cell, "%c%s%c", style, text, STYLE_PLAIN) < 0)
		abort();
	free(text);
	if (table->cell_count == table->cell_capacity)
		table->cells = grow(table->cells, &table->cell_capacity, sizeof(*table->cells));
	table->cells[table->cell_count++] = cell;
}

static void add_padded(struct buf *line, const char *text, size_t width, bool right, bool last)
{
	size_t own = sheet_width(text);
	int padding = own < width ? (int)(width - own) : 0;
	if (right)
		buf_printf(line, "%*s%s", padding, "", text);
	else
		buf_printf(line, "%s%*s", text, last ? 0 : padding, "");
	if (!last)
		buf_printf(line, "%*s", GAP, "");
}

static void add_row(struct sheet *sheet, const struct table *table, const char *const *cells,
		    const size_t *widths, enum sheet_style style)
{
	struct buf line = {0};
	buf_printf(&line, "%c", style);
	for (size_t i = 0; i < table->column_count; i++)
		add_padded(&line, cells[i], widths[i], table->right[i],
			   i + 1 == table->column_count);
	buf_append(&line, "", 1);
	add_line(sheet, strdup(buf_data(&line)));
	buf_finish(&line);
}

void table_end(struct table *table, struct sheet *sheet)
{
	size_t widths[TABLE_COLUMNS_MAX] = {0};
	for (size_t i = 0; i < table->column_count; i++)
		widths[i] = sheet_width(table->titles[i]);
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t width = sheet_width(table->cells[i]),
		       *column = &widths[i % table->column_count];
		*column = width > *column ? width : *column;
	}
	add_row(sheet, table, table->titles, widths, STYLE_DIM);
	for (size_t i = 0; i + table->column_count <= table->cell_count; i += table->column_count)
		add_row(sheet, table, (const char *const *)table->cells + i, widths, STYLE_PLAIN);
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct table){0};
}
