/* open: the way into the broker's pages. */
#pragma once
#include <stdbool.h>

struct command;

/* Gets a link from the broker that signs a browser in once, and opens it, or prints it if `print`
 * is set or no browser can be started. `page` may be NULL: the dashboard. Returns the exit status.
 */
int open_page(const struct command *command, const char *page, bool print);
