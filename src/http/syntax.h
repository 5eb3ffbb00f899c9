/* syntax: which bytes may stand where in a header (RFC 9110 5.5 and 5.6.2). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Letters, digits and !#$%&'*+-.^_`|~, a bit each. */
static inline bool http_is_token_byte(unsigned char byte)
{
	static const uint32_t bits[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
	return bits[byte / 32] >> (byte % 32) & 1;
}

static inline bool http_is_token(const char *text)
{
	const char *at = text;
	while (http_is_token_byte((unsigned char)*at))
		at++;
	return at > text && *at == '\0';
}

/* A control byte other than a tab. Checks eight bytes at a time; from the first eight that may hold
 * one, or a byte with its high bit set, one at a time. */
static inline bool http_has_control(const char *bytes, size_t length)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	size_t i = 0;

	for (; i + 8 <= length; i += 8) {
		uint64_t word;
		memcpy(&word, bytes + i, sizeof(word));
		uint64_t is_del = word ^ (ones * 0x7f);
		if (((word - ones * 0x20) | (is_del - ones) | word) & highs)
			break;
	}

	for (; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];
		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return true;
	}
	return false;
}
