/* clean_text: judges characters one by one; it knows no locale and no terminal. */
#include "cli/clean_text.h"

#include <stdint.h>
#include <string.h>

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

const char *clean_text(char *out, size_t size, const char *text, bool utf8)
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
