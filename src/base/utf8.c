/* utf8: see utf8.h. Table 3-7 of the Unicode standard, as ranges of the second byte. */
#include "base/utf8.h"

#include <string.h>

bool utf8_is_valid(const char *text, size_t length)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + length;
	while (at < end) {
		uint64_t word;
		if (end - at >= 8 &&
		    (memcpy(&word, at, 8), !(word & UINT64_C(0x8080808080808080)))) {
			at += 8;
			continue;
		}

		uint8_t lead = *at++;
		if (lead < 0x80)
			continue;
		int more = lead >= 0xc2 && lead <= 0xdf   ? 1
			   : lead >= 0xe0 && lead <= 0xef ? 2
			   : lead >= 0xf0 && lead <= 0xf4 ? 3
							  : 0;

		if (more == 0 || end - at < more)
			return false;
		uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
		uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
		for (; more > 0; more--, low = 0x80, high = 0xbf) {
			if (*at < low || *at > high)
				return false;
			at++;
		}
	}
	return true;
}

size_t utf8_code_point(const unsigned char *at, size_t left, uint32_t *ret_code)
{
	static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};

	if (at[0] < 0x80) {
		*ret_code = at[0];
		return 1;
	}

	size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
	if (at[0] < 0xc2 || at[0] > 0xf4 || length > left)
		return 0;

	uint32_t code = at[0] & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3fu);
	}

	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return length;
}
