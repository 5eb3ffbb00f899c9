/* glyphs: characters only; which numbers they stand for is gpu_panel's and timeline's. */
#include "cli/top/glyphs.h"

#include <stdint.h>
#include <string.h>

#include "cli/text_table.h"

/* The character at `text`, or 0 when its bytes are no UTF-8; *ret_bytes is at least 1. */
static uint32_t read_character(const unsigned char *text, size_t *ret_bytes)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t bytes = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	uint32_t value = bytes == 1 ? text[0] : text[0] & (0xffu >> (bytes + 1));
	*ret_bytes = 1;
	if (bytes > 1 && (text[0] < 0xc2 || text[0] > 0xf4))
		return 0;

	for (size_t i = 1; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (text[i] & 0x3f);
	}

	bool surrogate = value >= 0xd800 && value <= 0xdfff;
	if (value < least[bytes] || value > 0x10ffff || surrogate)
		return 0;
	*ret_bytes = bytes;
	return value;
}

/* Whether it may be shown: no control, nothing that turns the direction or takes no room unseen. */
static bool is_harmless(uint32_t c)
{
	static const uint32_t ranges[][2] = {{0x00, 0x1f},     {0x7f, 0x9f},      {0xad, 0xad},
					     {0x061c, 0x061c}, {0x180e, 0x180e},  {0x200b, 0x200f},
					     {0x2028, 0x202e}, {0x2060, 0x206f},  {0xfeff, 0xfeff},
					     {0xfff0, 0xfffb}, {0xe0000, 0xe0fff}};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return false;
	return true;
}

const char *glyphs_clean(char *out, size_t size, const char *text, bool utf8)
{
	size_t used = 0, bytes;

	for (; *text; text += bytes) {
		uint32_t c = read_character((const unsigned char *)text, &bytes);
		bool shown = is_harmless(c) && (utf8 || c < 0x80);
		size_t taken = shown ? bytes : 1;
		if (used + taken >= size)
			break;
		memcpy(out + used, shown ? text : "?", taken);
		used += taken;
	}

	out[used] = '\0';
	return out;
}

/* ---- bars ---- */

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
