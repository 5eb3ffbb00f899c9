/* media: the type of a file by the end of its name. */
#pragma once

/* Never NULL: what is not known is bytes. */
const char *media_type(const char *path);
