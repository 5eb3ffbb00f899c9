/* http_fields: the parts of http_parse that look at one line. Private to net/http_*.c. */
#pragma once
#include <string.h>

#include "net/http_parse.h"

/* A line of `length` bytes from `line`, without CRLF; bytes[length] may be overwritten. */
bool http_read_request_line(struct http_parser *parser, char *bytes, char *line, size_t length,
			    struct http_fault *ret_fault);
bool http_read_field(struct http_parser *parser, char *bytes, char *line, size_t length,
		     struct http_fault *ret_fault);
bool http_read_trailer(char *line, size_t length, struct http_fault *ret_fault);
/* After the empty line: Host, framing, upgrade. Sets the phase that follows. */
bool http_judge_head(struct http_parser *parser, char *bytes, struct http_fault *ret_fault);
/* Letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 5.6.2), a bit each. */
static inline bool http_is_token_byte(unsigned char byte)
{
	static const uint32_t bits[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
	return bits[byte / 32] >> (byte % 32) & 1;
}
/* A control byte other than a tab. Looks at eight bytes at a time; where one of them may be a
 * control, or has its high bit, at each. */
static inline bool http_has_control(const char *bytes, size_t length)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	size_t i = 0;
	for (; i + 8 <= length; i += 8) {
		uint64_t word;
		memcpy(&word, bytes + i, sizeof word);
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
/* reg-name or [IPv6], with an optional port; no userinfo, no space. */
bool http_is_host(const char *host, size_t length);

static inline bool http_refuse(struct http_fault *ret_fault, int status, int err, const char *what)
{
	*ret_fault = (struct http_fault){.status = status, .err = err, .what = what};
	return false;
}
