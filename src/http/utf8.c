/* utf8: see utf8.h. Table 3-7 of the Unicode standard, as ranges of the second byte. */
#include "http/utf8.h"

#include <stdint.h>
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
