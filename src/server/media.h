/* media: the type of a file by the end of its name. */
#pragma once
#include <stdbool.h>

/* Never NULL: what is not known is bytes. */
const char *media_type(const char *path);
bool media_is_known(const char *path);
