/* http_conditional: reads If-None-Match, Accept-Encoding and Range. Whatever is malformed counts as
 * not said, as RFC 9110 wants it. */
#include "server/pages/http_conditional.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

bool http_conditional_etag_known(const char *if_none_match, const char *etag)
{
	size_t length = strlen(etag);

	for (const char *at = if_none_match; at && *at;) {
		at += strspn(at, " \t,");
		if (*at == '*')
			return true;
		if (strncmp(at, "W/", 2) == 0)
			at += 2;
		if (*at != '"')
			return false;
		const char *end = strchr(at + 1, '"');
		if (!end)
			return false;
		end++;
		if ((size_t)(end - at) == length && strncmp(at, etag, length) == 0)
			return true;
		at = end;
	}

	return false;
}

/* q=0, q=0.0, q=0.000: not wanted. */
static bool is_refused(const char *parameters, size_t length)
{
	const char *q = memchr(parameters, '=', length);
	if (!q)
		return false;
	size_t rest = length - (size_t)(q + 1 - parameters);
	return rest > 0 && strspn(q + 1, "0. \t") >= rest;
}

bool http_conditional_takes_gzip(const char *accept_encoding)
{
	static const char gzip[] = "gzip";
	for (const char *at = accept_encoding; at && *at;) {
		at += strspn(at, " \t,");
		size_t item = strcspn(at, ","), name = strcspn(at, " \t,;");
		if (name == sizeof(gzip) - 1 && strncasecmp(at, gzip, name) == 0)
			return !is_refused(at + name, item - name);
		at += item;
	}
	return false;
}

/* 1 to 18 digits, which fit 63 bits. False: something else. */
static bool take_number(const char **at, uint64_t *ret_value)
{
	size_t digits = strspn(*at, "0123456789");
	uint64_t value = 0;
	if (digits == 0 || digits > 18)
		return false;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)((*at)[i] - '0');
	*at += digits;
	*ret_value = value;
	return true;
}

enum http_conditional_range http_conditional_range(const char *range, uint64_t size,
						   uint64_t *ret_first, uint64_t *ret_last)
{
	static const char unit[] = "bytes=";
	uint64_t first = 0, last = UINT64_MAX;

	if (!range || strncasecmp(range, unit, sizeof(unit) - 1) != 0)
		return RANGE_WHOLE;
	const char *at = range + sizeof(unit) - 1;
	bool from_end = *at == '-';
	if (!from_end && !take_number(&at, &first))
		return RANGE_WHOLE;
	if (*at++ != '-')
		return RANGE_WHOLE;

	if (*at && !take_number(&at, &last))
		return RANGE_WHOLE;
	if (*at || (from_end && last == UINT64_MAX) || (!from_end && last < first))
		return RANGE_WHOLE;
	if (from_end) { /* the last so many bytes */
		first = last < size ? size - last : 0;
		if (last == 0)
			return RANGE_OUTSIDE;
		last = UINT64_MAX;
	}

	if (first >= size)
		return RANGE_OUTSIDE;
	*ret_first = first;
	*ret_last = last < size ? last : size - 1;
	return RANGE_PART;
}
