/* display_name: which texts of clients may be shown to people. */
#pragma once
#include <stddef.h>

/* NULL when `name` may be shown to people: 1..max_bytes bytes of UTF-8, no control, no bidi mark,
 * no zero-width or unassigned-noncharacter code point (CASES.md C16). Else what is wrong, in words.
 */
const char *display_name_problem(const char *name, size_t length, size_t max_bytes);
