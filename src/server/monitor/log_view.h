/* log_view: what of a log line is shown to whom. */
#pragma once
#include <stdbool.h>

#include "wire/text.h"

/* Whoever came by a key, as access_principal names it: models that it may not ask for, and those of
 * a tab that serves another key, are not named to it. */
bool log_view_is_narrow(const char *principal);
/* Adds the line, with no value for `model` where it is to be narrow. */
void log_view_line(const char *line, bool narrow, struct text *out);
