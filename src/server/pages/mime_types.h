/* mime_types: the type of a file by the end of its name. */
#pragma once
#include <stdbool.h>

/* Never NULL: what is not known is bytes. */
const char *mime_type(const char *path);
/* The same, but what a browser would run or show as a page is bytes. WebAssembly stays: it has no
 * rights but those that a script gives it. */
const char *mime_type_of_data(const char *path);
bool mime_type_is_known(const char *path);
