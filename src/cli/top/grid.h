/* grid: rows of cells in one line each: sorted, filtered, and cut to a width, where the least
 * important columns go first. Pure. cli/table.h is for text that is printed once, and wraps. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/text_table.h"

struct buf;

enum { GRID_COLUMNS_MAX = 12, GRID_DEFAULT_ORDER = -1 };

enum grid_kind {
	GRID_WORD,
	GRID_NUMBER, /* to the right */
	GRID_NAME,   /* shortened when there is little room */
	GRID_TEXT,   /* the last column: a sentence, cut where the line ends */
};

struct grid_column {
	const char *title;
	enum grid_kind kind;
	unsigned rank; /* 0 stays longest; of two the higher goes first when the line is full */
};

struct grid_cell {
	char *text;   /* owned; clean */
	double value; /* to sort by; NAN: by text */
	enum text_table_style style;
};

struct grid {
	const struct grid_column *columns; /* borrowed */
	size_t column_count;
	struct grid_cell *cells; /* owned, row after row */
	uint64_t *ids;           /* owned, one a row */
	size_t *order;           /* owned: rows as shown */
	size_t rows, shown, cell_count, cell_capacity;
};

void grid_init(struct grid *grid, const struct grid_column *columns, size_t count);
void grid_finish(struct grid *grid);
void grid_row(struct grid *grid, uint64_t id);
/* The next cell of the newest row. `value`: what it is sorted by, NAN: its text. */
__attribute__((format(printf, 4, 5))) void grid_cell(struct grid *grid, enum text_table_style style,
						     double value, const char *format, ...);
/* Sets `order` and `shown`: rows in which some cell has `filter` ("": all), by `column`. */
void grid_arrange(struct grid *grid, int column, bool reverse, const char *filter);
/* The place of a row in `order`; SIZE_MAX: it is not shown. */
size_t grid_find(const struct grid *grid, uint64_t id);

/* Widths of the columns in a line of `width`; 0: left out. `hidden` has a bit for each column that
 * the user does not want. Width 0: no limit. */
struct grid_widths {
	size_t columns[GRID_COLUMNS_MAX];
};
void grid_fit(const struct grid *grid, size_t width, unsigned hidden, struct grid_widths *ret);
void grid_titles(const struct grid *grid, const struct grid_widths *widths, struct buf *out);
/* `at`: in `order`. A marked row has the style of the chosen one throughout. */
void grid_line(const struct grid *grid, const struct grid_widths *widths, size_t at, bool marked,
	       struct buf *out);
