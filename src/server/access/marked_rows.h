/* marked_rows: the text of a file of rows of which none may be guessed. Each row has a mark, a hash
 * of it, and the last line says how many there are ("2 keys marked"), so that a file that was cut
 * short or changed is known as such. Knows no row's meaning. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum {
	ROW_MARK_BYTES = 16,                       /* in hex */
	MARKED_ROW_BYTES = 1 + ROW_MARK_BYTES + 1, /* that are added to a row */
};

/* What is written behind a row without line end: its mark. Returns the bytes of that. */
size_t marked_row_end(char *row, size_t length, size_t size);
/* The last line. Returns its bytes. */
size_t marked_rows_end(char *at, size_t size, unsigned count, const char *noun);
/* Calls `take` for each row, without its mark; false: it is none of ours. A text of before there
 * were marks ("2 keys") has none. The text is cut up. 0, or the line that is damaged, from 1, and
 * what stands there; "": all of it, or a row is missing. */
unsigned marked_rows_read(char *text, const char *noun, bool (*take)(void *ctx, const char *row),
			  void *ctx, const char **ret_row);
