/* name: which texts of clients may be shown to people, and the hex form of tokens. Does not look
 * into JSON. Called by json.c and tree.c, and by whoever takes a name from elsewhere. */
#include "wire/name.h"

#include <string.h>

size_t name_code_point(const unsigned char *at, size_t left, uint32_t *ret_code)
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

const char *name_problem(const char *name, size_t length, size_t max_bytes)
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
			name_code_point((const unsigned char *)name + at, length - at, &code);
		if (!bytes)
			return "is not valid UTF-8";
		if (is_unprintable(code))
			return "has a control, bidi or zero-width character";
		at += bytes;
	}

	return NULL;
}

void token_to_hex(const struct token *token, char ret_hex[TOKEN_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < sizeof(token->b); i++) {
		ret_hex[2 * i] = digits[token->b[i] >> 4];
		ret_hex[2 * i + 1] = digits[token->b[i] & 15];
	}
	ret_hex[2 * sizeof(token->b)] = '\0';
}

int name_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool token_from_hex(const char *hex, size_t length, struct token *ret_token)
{
	struct token token;
	if (length != 2 * sizeof(token.b))
		return false;
	for (size_t i = 0; i < sizeof(token.b); i++) {
		int high = name_hex_value(hex[2 * i]), low = name_hex_value(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		token.b[i] = (uint8_t)(high << 4 | low);
	}
	*ret_token = token;
	return true;
}
