/* token: random tokens, their hex form, and comparing secrets in constant time, so that timing does
 * not show how much of a guess was right. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKEN_HEX_BYTES = 32 + 1 };

struct token {
	uint8_t b[16];
};

void token_to_hex(const struct token *token, char ret_hex[TOKEN_HEX_BYTES]);
/* Exactly 32 digits. */
bool token_from_hex(const char *hex, size_t length, struct token *ret_token);
int token_hex_digit(char c); /* the value of one digit, or -1 */

/* Looks at all bytes, whatever they are. */
bool token_bytes_equal(const void *a, const void *b, size_t size);
/* For tables of random tokens. Not a digest: only for bytes that nobody outside chose. */
uint64_t token_bytes_hash(const void *bytes, size_t size);
