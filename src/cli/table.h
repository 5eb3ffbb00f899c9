/* table: rows of cells in columns, laid out as lines of a text_table. */
#pragma once
#include "cli/text_table.h"

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

/* The first character of a title sets the column's kind. */
void table_column(struct table *table, const char *title);
__attribute__((format(printf, 3, 4))) void
table_cell(struct table *table, enum text_table_style style, const char *format, ...);
/* Adds the rows to the sheet, aligned under their titles, and empties the table. Columns that do
 * not fit go below their row. */
void table_end(struct table *table, struct text_table *sheet);
