/* log_view: see log_view.h. A line does not say whose request it is of, so of none is the model
 * told. */
#include "server/monitor/log_view.h"

bool log_view_is_narrow(const char *principal)
{
	return !strncmp(principal, "key:", 4);
}

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

void log_view_line(const char *line, bool narrow, struct text *out)
{
	static const char field[] = "model=";
	const char *from = line;

	for (const char *at = line; narrow && *at;) {
		bool begins = at == line || at[-1] == ' ';
		if (*at == '"' && at > line && at[-1] == '=') {
			at = after_value(at);
		} else if (begins && !strncmp(at, field, strlen(field))) {
			at += strlen(field);
			text_add(out, from, (size_t)(at - from));
			text_str(out, "\"\"");
			at = from = after_value(at);
		} else {
			at++;
		}
	}
	text_str(out, from);
}
