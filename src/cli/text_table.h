/* text_table: lines of styled text, printed to a file or drawn on the screen of `status --watch`
 * and `top`. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A style is one byte in the text, so a line is a plain string. Bytes 0x01 to 0x07 never come from
 * outside: control bytes in the input are replaced. */
enum text_table_style {
	STYLE_PLAIN = 1,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_GOOD,
	STYLE_WARN,
	STYLE_BAD,
	STYLE_MARK, /* the chosen row */
	STYLE_END
};

struct text_table {
	char **lines; /* owned */
	size_t count, capacity;
	size_t columns; /* lines added are fitted to them; 0: no limit */
};

void text_table_finish(struct text_table *sheet);
/* Adds a line, which may contain style bytes, wrapped at the sheet's width. Aborts on allocation
 * failure. */
__attribute__((format(printf, 2, 3))) void text_table_add(struct text_table *sheet,
							  const char *format, ...);
void text_table_print(const struct text_table *sheet, FILE *out, bool color);
/* The same at `columns` (0: no wrapping); continuation lines are indented, and the first line is
 * not broken before that column. */
void text_table_add_wrapped(struct text_table *sheet, const char *text, size_t columns,
			    size_t indent);
/* Columns of the terminal `out`; 0: not a terminal, so nothing is shortened. */
size_t text_table_columns(FILE *out);
/* Whether `out` is a terminal that wants colours (NO_COLOR, TERM=dumb). */
bool text_table_color(FILE *out);
/* Columns that text takes on a terminal, without style bytes. */
size_t text_table_width(const char *text);
/* The text, or as much of it as fits with an ellipsis; the caller frees it. */
char *text_table_cut(const char *text, size_t columns);
