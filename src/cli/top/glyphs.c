/* glyphs: characters only; which numbers they stand for is gpu_panel's and timeline's. */
#include "cli/top/glyphs.h"

#include "base/buf.h"
#include "cli/text_table.h"

static double at_least_zero(double value)
{
	return value > 0 ? value : 0;
}

void glyphs_memory_cells(const struct glyphs_memory *memory, unsigned width,
			 unsigned ret_cells[GLYPHS_PARTS])
{
	double unmanaged = at_least_zero(memory->unmanaged);
	double reserved = at_least_zero(memory->reserved);
	double own = at_least_zero(memory->used - unmanaged - reserved);
	const double parts[GLYPHS_PARTS] = {own, at_least_zero(memory->granted - own), unmanaged,
					    reserved};
	unsigned left = width;

	for (size_t i = 0; i < GLYPHS_PARTS; i++) {
		double cells = memory->total > 0 ? parts[i] * width / memory->total : 0;
		ret_cells[i] = cells >= left ? left : (unsigned)(cells + 0.5);
		if (parts[i] > 0 && ret_cells[i] == 0 && left > 0)
			ret_cells[i] = 1;
		left -= ret_cells[i];
	}
}

void glyphs_memory_bar(struct buf *out, const struct glyphs_memory *memory, unsigned width,
		       bool utf8)
{
	static const char *const marks[][2] = {{"#", "\u2588"},
					       {"-", "\u2591"},
					       {"%", "\u2593"},
					       {":", "\u2592"},
					       {".", "\u00b7"}};
	static const char styles[] = {STYLE_GOOD, STYLE_GOOD, STYLE_WARN, STYLE_DIM, STYLE_DIM};
	unsigned cells[GLYPHS_PARTS + 1] = {0}, used = 0;
	if (width < 3 || memory->total <= 0)
		return;

	glyphs_memory_cells(memory, width - 2, cells);
	for (size_t i = 0; i < GLYPHS_PARTS; i++)
		used += cells[i];
	cells[GLYPHS_PARTS] = width - 2 - used;

	buf_append_text(out, "[");
	for (size_t i = 0; i <= GLYPHS_PARTS; i++) {
		if (cells[i])
			buf_append(out, &styles[i], 1);
		for (unsigned cell = 0; cell < cells[i]; cell++)
			buf_append_text(out, marks[i][utf8]);
	}
	buf_printf(out, "%c]", STYLE_PLAIN);
}

void glyphs_series(struct buf *out, const double *values, size_t count, bool utf8)
{
	static const char *const levels[][2] = {{"_", "\u2581"}, {".", "\u2582"}, {":", "\u2583"},
						{"-", "\u2584"}, {"=", "\u2585"}, {"+", "\u2586"},
						{"*", "\u2587"}, {"#", "\u2588"}};

	for (size_t i = 0; i < count; i++) {
		double value = values[i] > 1 ? 1 : values[i];
		buf_append_text(out, value < 0 ? " " : levels[(size_t)(value * 7 + 0.5)][utf8]);
	}
}
