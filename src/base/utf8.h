/* utf8: valid UTF-8 (no surrogates, no overlong forms, at most U+10FFFF), and its code points. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool utf8_is_valid(const char *text, size_t length);
/* The code point at `at` and its length in bytes; 0: not valid UTF-8. `left` is at least 1. */
size_t utf8_code_point(const unsigned char *at, size_t left, uint32_t *ret_code);
