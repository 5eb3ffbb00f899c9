/* display_name: see display_name.h. Looks at code points alone, never at what the name is used for.
 */
#include "wire/display_name.h"

#include <stdint.h>

#include "base/utf8.h"

/* Invisible or able to reorder what stands beside it. */
static bool is_unprintable(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x00, 0x1f},       {0x7f, 0x9f},       {0xad, 0xad},     {0x34f, 0x34f},
		{0x61c, 0x61c},     {0x115f, 0x1160},   {0x17b4, 0x17b5}, {0x180b, 0x180f},
		{0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f}, {0x3164, 0x3164},
		{0xfdd0, 0xfdef},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
		{0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};

	if ((code & 0xfffe) == 0xfffe)
		return true;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;

	return false;
}

const char *display_name_problem(const char *name, size_t length, size_t max_bytes)
{
	if (!length)
		return "must not be empty";
	if (length > max_bytes)
		return "is too long";

	for (size_t at = 0; at < length;) {
		if (name[at] >= 0x20 && name[at] < 0x7f) { /* ASCII, as nearly always */
			at++;
			continue;
		}
		uint32_t code;
		size_t bytes =
			utf8_code_point((const unsigned char *)name + at, length - at, &code);
		if (!bytes)
			return "is not valid UTF-8";
		if (is_unprintable(code))
			return "has a control, bidi or zero-width character";
		at += bytes;
	}

	return NULL;
}
