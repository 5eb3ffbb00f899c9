/* log_view: what of a log line is shown to whom. */
#pragma once
#include "base/text.h"
#include "wire/sight.h"

/* Adds the line, with no value for what whoever looks is not told. */
void log_view_line(const char *line, const struct sight *sight, struct text *out);
