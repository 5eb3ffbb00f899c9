/* yaml_text: text that becomes YAML. Aborts without memory. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;

__attribute__((format(printf, 2, 3))) void yaml_put(struct buf *out, const char *format, ...);

/* A string as a scalar that reads back as the same string, in a list between [ and ], too: plain
 * where it may be, else in double quotes. What a terminal would obey, or not show, is escaped, so
 * it is fit for a comment as well. `text` is UTF-8. */
void yaml_put_scalar(struct buf *out, const char *text);

/* A copy with a NUL behind it, the caller's. */
char *yaml_copy_text(const char *bytes, size_t length);
