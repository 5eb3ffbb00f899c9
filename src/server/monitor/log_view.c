/* log_view: see log_view.h. A line does not say whose it is, so what a field of that name may hold
 * is told of none. */
#include "server/monitor/log_view.h"
#include "base/text.h"
#include "wire/sight.h"

#include <string.h>

/* Behind a value as base/log writes it: bare, or in quotes with escapes. */
static const char *after_value(const char *at)
{
	if (*at != '"')
		return at + strcspn(at, " ");
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

/* Of "NAME=" at the beginning of a word; 0: it is none. */
static size_t name_length(const char *line, const char *at)
{
	size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789");

	return (at == line || at[-1] == ' ') && at[length] == '=' ? length : 0;
}

void log_view_line(const char *line, const struct sight *sight, struct text *out)
{
	const char *from = line;

	for (const char *at = line; *at;) {
		size_t length = name_length(line, at);

		if (*at == '"' && at > line && at[-1] == '=') {
			at = after_value(at);
		} else if (length && !sight_tells_field(sight, at, length)) {
			at += length + 1;
			text_add(out, from, (size_t)(at - from));
			text_str(out, "\"\"");
			at = from = after_value(at);
		} else {
			at++;
		}
	}
	text_str(out, from);
}
