/* secret: comparing what a client shows with what is kept secret, in constant time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* `shown` need not be NUL-terminated. An empty secret equals nothing. The time taken depends on the
 * lengths alone, and those are no secret. */
bool secret_equal(const char *secret, const char *shown, size_t shown_length);
