/* glyphs: texts of a given width that `top` draws with: bars, and lines over time. Pure. With
 * `utf8` false everything is ASCII. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;

/* MiB; negative: unknown. */
struct glyphs_memory {
	double total, granted, used, unmanaged, reserved;
};
enum { GLYPHS_PARTS = 4 };
/* How many cells of `width` each part takes: used by leases, granted and not used, unmanaged,
 * reserved. A part that is not zero has a cell at least, while there are any. */
void glyphs_memory_cells(const struct glyphs_memory *memory, unsigned width,
			 unsigned ret_cells[GLYPHS_PARTS]);
/* "[####--%%..]": `width` columns, brackets included; nothing when the total is unknown. */
void glyphs_memory_bar(struct buf *out, const struct glyphs_memory *memory, unsigned width,
		       bool utf8);
/* One cell a value between 0 and 1; a negative one is unknown and blank. */
void glyphs_series(struct buf *out, const double *values, size_t count, bool utf8);
