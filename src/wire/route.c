/* route: the search for a path's row in the table of routes. Knows neither who asks nor what the
 * routes do. */
#include "wire/route.h"

#include <string.h>

#include "base/err.h"
#include "base/token.h"
#include "base/utf8.h"

static const struct route routes[] = {
#define ROUTE_ROW(id, method, path, rights, flags, part, handler, about)                           \
	{id, method, path, sizeof(path) - 1, rights, flags, about},
	ROUTE_TABLE(ROUTE_ROW)
#undef ROUTE_ROW
};

const struct route *route_table(size_t *ret_count)
{
	*ret_count = ROUTE_COUNT;
	return routes;
}

/* 1 to 19 digits, no sign, no leading zero: one number has one spelling. Returns digits used. */
static size_t number_prefix(const char *at, uint64_t *ret_value)
{
	size_t digits = strspn(at, "0123456789");
	if (!digits || digits > 19 || (digits > 1 && at[0] == '0'))
		return 0;
	uint64_t value = 0;
	for (size_t i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(at[i] - '0');
	*ret_value = value;
	return digits;
}

/* Of a row with ROUTE_PATTERN. */
static bool pattern_matches(const char *pattern, const char *path, uint64_t *ret_lease)
{
	static const char tail[] = "{path}";

	/* All begin with a slash, and most differ in the letter behind it. */
	if (pattern[1] != path[path[0] != '\0'] && pattern[1] != '{')
		return false;

	const char *at = strchr(pattern, '{');
	size_t before = (size_t)(at - pattern);
	if (strncmp(pattern, path, before) != 0)
		return false;

	if (strcmp(at, tail) == 0)
		return path[before] != '\0';
	uint64_t lease;
	size_t digits = number_prefix(path + before, &lease);
	if (!digits || strcmp(strchr(at, '}') + 1, path + before + digits) != 0)
		return false;

	*ret_lease = lease;
	return true;
}

static bool path_matches(const struct route *route, const char *path, size_t length,
			 uint64_t *ret_lease)
{
	if (route->flags & ROUTE_PATTERN)
		return pattern_matches(route->path, path, ret_lease);
	return route->path_bytes == length && memcmp(route->path, path, length) == 0;
}

bool route_wants_html(const char *method, const char *accept)
{
	return accept && strcmp(method, "GET") == 0 && strcasestr(accept, "text/html");
}

int route_find(const char *method, const char *path, bool html, struct route_match *ret_match)
{
	int err = -ERR_NOT_FOUND;
	size_t length = strlen(path);

	*ret_match = (struct route_match){0};
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		uint64_t lease = 0;
		if ((routes[i].flags & ROUTE_HTML) && !html)
			continue;
		if (!path_matches(&routes[i], path, length, &lease))
			continue;
		*ret_match = (struct route_match){.route = &routes[i], .lease = lease};
		if (strcmp(method, routes[i].method) == 0 || strcmp(method, "OPTIONS") == 0)
			return 0;
		err = -ERR_METHOD;
	}
	return err;
}

/* Behind `name=` in a raw query, or NULL. */
static const char *query_value(const char *query, const char *name)
{
	size_t length = strlen(name);
	while (query && *query) {
		if (strncmp(query, name, length) == 0 && query[length] == '=')
			return query + length + 1;
		query = strchr(query, '&');
		query = query ? query + 1 : NULL;
	}
	return NULL;
}

bool route_query_u64(const char *query, const char *name, uint64_t *ret_value)
{
	const char *at = query_value(query, name);
	uint64_t value;
	size_t digits = at ? number_prefix(at, &value) : 0;
	if (!digits || (at[digits] != '\0' && at[digits] != '&'))
		return false;
	*ret_value = value;
	return true;
}

/* `length` bytes of a path or query. False: a broken escape, a NUL, no UTF-8, or too long. */
static bool decode_text(const char *at, size_t length, bool plus_is_space, char *ret_text,
			size_t size)
{
	const char *end = at + length;
	size_t used = 0;

	while (at < end) {
		int byte = *at == '+' && plus_is_space ? ' ' : (unsigned char)*at;
		if (*at == '%') {
			int high = token_hex_digit(at[1]),
			    low = high < 0 ? -1 : token_hex_digit(at[2]);
			if (low < 0)
				return false;
			byte = high * 16 + low;
			at += 2;
		}
		if (byte == 0 || used + 1 >= size)
			return false;
		ret_text[used++] = (char)byte;
		at++;
	}

	ret_text[used] = '\0';
	return utf8_is_valid(ret_text, used);
}

int route_query_text(const char *query, const char *name, char *ret_text, size_t size)
{
	const char *at = query_value(query, name);

	if (!at)
		return 0;
	return decode_text(at, strcspn(at, "&"), true, ret_text, size) ? 1 : -ERR_BAD_FIELD;
}

bool route_path_text(const char *path, char *ret_text, size_t size)
{
	return decode_text(path, strlen(path), false, ret_text, size);
}
