/* clean_text: names of others as text that may be shown. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Copies a name that may be anything: control characters, broken UTF-8, and marks that turn or hide
 * text become '?'. Cut at `size` between characters. Returns `out`. */
const char *clean_text(char *out, size_t size, const char *text, bool utf8);
