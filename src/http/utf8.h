/* utf8: is this text valid UTF-8 (no surrogates, no overlong forms, at most U+10FFFF)? */
#pragma once
#include <stdbool.h>
#include <stddef.h>

bool utf8_is_valid(const char *text, size_t length);
