/* name: which texts of clients may be shown to people, and the hex form of tokens. */
#pragma once
#include "core/types.h"

/* NULL when `name` may be shown to people: 1..max_bytes bytes of UTF-8, no control, no bidi mark,
 * no zero-width or unassigned-noncharacter code point (CASES.md C16). Else what is wrong, in words.
 */
const char *name_problem(const char *name, size_t length, size_t max_bytes);
/* The code point at `at` and its length in bytes; 0: not valid UTF-8 (RFC 3629). */
size_t name_code_point(const unsigned char *at, size_t left, uint32_t *ret_code);

enum { TOKEN_HEX_BYTES = 32 + 1 };
void token_to_hex(const struct token *token, char ret_hex[TOKEN_HEX_BYTES]);
bool token_from_hex(const char *hex, size_t length,
		    struct token *ret_token); /* exactly 32 digits */
int name_hex_value(char c);                   /* of one digit, or -1 */
