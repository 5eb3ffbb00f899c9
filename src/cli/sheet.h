/* sheet: lines of styled text, aligned tables among them, printed to a file or drawn by the watch.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A style is one byte in the text, so a line is a plain string. 0x01 to 0x06 never come from
 * elsewhere: control bytes in words of others are replaced. */
enum sheet_style {
	STYLE_PLAIN = 1,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_END
};

struct sheet {
	char **lines; /* owned */
	size_t count, capacity;
};

void sheet_finish(struct sheet *sheet);
/* One line, with style bytes in it where wanted. Aborts when memory is out. */
__attribute__((format(printf, 2, 3))) void sheet_add(struct sheet *sheet, const char *format, ...);
void sheet_print(const struct sheet *sheet, FILE *out, bool color);
/* Whether `out` is a terminal that wants colours (NO_COLOR, TERM=dumb). */
bool sheet_color(FILE *out);
/* Columns that text takes on a terminal, style bytes not counted. */
size_t sheet_width(const char *text);

enum { TABLE_COLUMNS_MAX = 12 };

struct table {
	const char *titles[TABLE_COLUMNS_MAX];
	bool right[TABLE_COLUMNS_MAX]; /* numbers */
	size_t column_count, cell_count, cell_capacity;
	char **cells; /* owned, row after row */
};

/* A title that begins with '>' is of a column of numbers. */
void table_column(struct table *table, const char *title);
__attribute__((format(printf, 3, 4))) void table_cell(struct table *table, enum sheet_style style,
						      const char *format, ...);
/* Adds the rows to the sheet, aligned, under their titles, and empties the table. */
void table_end(struct table *table, struct sheet *sheet);
