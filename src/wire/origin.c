/* origin: one form for each origin. Looks at the text only, resolves no name. Called by the
 * configuration and by the pairing of sites. */
#include "wire/origin.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool all_of(const char *text, size_t length, const char *allowed)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr(allowed, text[i]))
			return false;
	return length > 0;
}

/* 1 to 65535 without a zero in front; -1: it is no port. */
static long port_of(const char *digits)
{
	long port = 0;
	size_t length = strspn(digits, "0123456789");
	if (length == 0 || length > 5 || digits[length] || digits[0] == '0')
		return -1;
	for (size_t i = 0; i < length; i++)
		port = port * 10 + (digits[i] - '0');
	return port <= 65535 ? port : -1;
}

/* Letters are small by now. The longest names of hosts, and what extensions have for one. */
static const char *host_problem(const char *host, size_t length)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
	static const char address[] = "0123456789abcdef:.";
	if (length == 0)
		return "names no host";
	if (host[0] == '[')
		return length > 3 && host[length - 1] == ']' &&
				       all_of(host + 1, length - 2, address)
			       ? NULL
			       : "has no IPv6 address in its brackets";
	if (!all_of(host, length, name))
		return "has more than the letters of a host name";
	if (host[0] == '.' || host[length - 1] == '.' || host[0] == '-')
		return "has a host that begins or ends with a dot or a dash";
	return NULL;
}

static const char *letters_problem(const char *text)
{
	if (strcasecmp(text, "null") == 0)
		return "is what pages without an origin show; it cannot be told apart";
	for (const char *at = text; *at; at++) {
		if ((unsigned char)*at >= 0x80)
			return "is not ASCII; write the host as the browser sends it (xn--..)";
		if ((unsigned char)*at < 0x21 || *at == 0x7f)
			return "has spaces or control bytes";
		if (*at == '*')
			return "has a wildcard; list each origin";
		if (*at == '@')
			return "has a user name";
	}
	return NULL;
}

static bool is_default_port(const char *scheme, size_t length, long port)
{
	return (port == 80 && length == 4 && strncmp(scheme, "http", 4) == 0) ||
	       (port == 443 && length == 5 && strncmp(scheme, "https", 5) == 0);
}

const char *origin_normal(const char *text, char ret_origin[ORIGIN_BYTES_MAX + 1])
{
	static const char scheme_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
	char low[ORIGIN_BYTES_MAX + 1];
	size_t length = strlen(text);
	if (length > ORIGIN_BYTES_MAX)
		return "is longer than 255 bytes";

	const char *problem = letters_problem(text);
	if (problem)
		return problem;

	for (size_t i = 0; i <= length; i++)
		low[i] = (char)tolower((unsigned char)text[i]);
	char *host = strstr(low, "://");
	if (!host || !isalpha((unsigned char)low[0]) ||
	    !all_of(low, (size_t)(host - low), scheme_letters))
		return "does not begin with http:// or https://";

	size_t scheme_length = (size_t)(host - low);
	host += 3;
	if (strpbrk(host, "/?#\\"))
		return "has more than scheme, host and port; leave out what follows them";

	char *after = host[0] == '[' ? strchr(host, ']') : host;
	char *colon = after ? strchr(after, ':') : NULL;
	long port = colon ? port_of(colon + 1) : 0;
	if (port < 0)
		return "has no port from 1 to 65535 behind its colon";

	problem = host_problem(host, colon ? (size_t)(colon - host) : strlen(host));
	if (problem)
		return problem;

	if (colon && is_default_port(low, scheme_length, port))
		*colon = '\0';
	snprintf(ret_origin, ORIGIN_BYTES_MAX + 1, "%s", low);
	return NULL;
}

bool origin_is_normal(const char *text)
{
	char normal[ORIGIN_BYTES_MAX + 1];
	return !origin_normal(text, normal) && strcmp(text, normal) == 0;
}
