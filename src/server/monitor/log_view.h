/* log_view: what of a log line is shown to whom. */
#pragma once

struct sight;
struct text;

/* Adds the line, with no value for what whoever looks is not told. */
void log_view_line(const char *line, const struct sight *sight, struct text *out);
