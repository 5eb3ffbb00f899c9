/* number: see number.h. For the command line's units and the server's options. */
#include "base/number.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool number_parse(const char **text, double *ret)
{
	const char *at = *text;
	size_t digits = strspn(at, "0123456789");
	size_t length = digits;

	if (at[length] == '.') {
		size_t fraction = strspn(at + length + 1, "0123456789");
		if (fraction == 0)
			return false;
		length += 1 + fraction;
	}

	char copy[32];
	if (digits == 0 || length >= sizeof(copy))
		return false;

	memcpy(copy, at, length);
	copy[length] = '\0';
	*ret = strtod(copy, NULL);

	*text += length;
	return true;
}

bool number_parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char letters[] = "BKMGTP";
	double number;

	if (!number_parse(&text, &number) || !*text)
		return false;

	const char *letter = strchr(letters, toupper((unsigned char)*text));
	if (!letter || !*letter)
		return false;

	text++;
	if (letter != letters && strcasecmp(text, "") != 0 && strcasecmp(text, "B") != 0 &&
	    strcasecmp(text, "iB") != 0)
		return false;
	if (letter == letters && *text)
		return false;

	double bytes = number * (double)((uint64_t)1 << 10 * (letter - letters));
	if (bytes > (double)((uint64_t)1 << 60))
		return false;

	*ret_bytes = (uint64_t)bytes;
	return true;
}
