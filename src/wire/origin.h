/* origin: the origin of a page as browsers show it (RFC 6454), and as people write it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { ORIGIN_BYTES_MAX = 255 };

/* `text` as a browser would show it: scheme and host in small letters, without the scheme's own
 * port. NULL, or why it is no origin, in words; then `ret_origin` is untouched. */
const char *origin_normal(const char *text, char ret_origin[ORIGIN_BYTES_MAX + 1]);
/* Already so: what a browser sends, to the byte. */
bool origin_is_normal(const char *text);
