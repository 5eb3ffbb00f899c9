/* text_table: lines of styled text, aligned tables among them, printed to a file or drawn by the
 * watch.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A style is one byte in the text, so a line is a plain string. 0x01 to 0x06 never come from
 * elsewhere: control bytes in words of others are replaced. */
enum text_table_style {
	STYLE_PLAIN = 1,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_END
};

struct text_table {
	char **lines; /* owned */
	size_t count, capacity;
	size_t columns; /* what is added is fitted to them; 0: as wide as it is */
};

void text_table_finish(struct text_table *sheet);
/* One line, with style bytes in it where wanted, wrapped at the sheet's width. Aborts when memory
 * is out. */
__attribute__((format(printf, 2, 3))) void text_table_add(struct text_table *sheet,
							  const char *format, ...);
void text_table_print(const struct text_table *sheet, FILE *out, bool color);
/* The same for a text, at `columns` (0: not); the lines that follow are indented, and the first is
 * not broken before that column. */
void text_table_add_wrapped(struct text_table *sheet, const char *text, size_t columns,
			    size_t indent);
/* Columns of the terminal `out`; 0: it is none, and nothing is to be shortened. */
size_t text_table_columns(FILE *out);
/* Whether `out` is a terminal that wants colours (NO_COLOR, TERM=dumb). */
bool text_table_color(FILE *out);
/* Columns that text takes on a terminal, style bytes not counted. */
size_t text_table_width(const char *text);
/* The text, or as much of it as fits with an ellipsis; the caller frees it. */
char *text_table_cut(const char *text, size_t columns);

enum { TABLE_COLUMNS_MAX = 12 };

enum table_kind {
	TABLE_WORD,
	TABLE_NUMBER, /* '>': to the right */
	TABLE_NAME,   /* '~': shortened first when the sheet is narrow */
	TABLE_TEXT,   /* '=': a sentence, last; wrapped, or below its row */
};

struct table {
	const char *titles[TABLE_COLUMNS_MAX];
	enum table_kind kinds[TABLE_COLUMNS_MAX];
	size_t column_count, cell_count, cell_capacity;
	char **cells; /* owned, row after row */
};

/* The kind of the column stands before its title. */
void table_column(struct table *table, const char *title);
__attribute__((format(printf, 3, 4))) void
table_cell(struct table *table, enum text_table_style style, const char *format, ...);
/* Adds the rows to the sheet, aligned, under their titles, and empties the table. What has no room
 * in its row stands below it. */
void table_end(struct table *table, struct text_table *sheet);
