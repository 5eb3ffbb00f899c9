/* token: constant-time comparison. Draws no randomness and prints nothing. The core finds leases
 * and sessions by their tokens; the edges compare secrets. */
#include "base/token.h"

#include <string.h>

#include "base/contracts.h"
#include "base/hash.h"

bool token_bytes_equal(const void *a, const void *b, size_t size)
{
	const uint8_t *left = a, *right = b;
	volatile uint64_t differ = 0;
	uint64_t x, y;

	PRE(size > 0);

	for (; size >= sizeof(x); left += sizeof(x), right += sizeof(x), size -= sizeof(x)) {
		memcpy(&x, left, sizeof(x));
		memcpy(&y, right, sizeof(y));
		differ |= x ^ y;
	}
	for (size_t i = 0; i < size; i++)
		differ |= (uint8_t)(left[i] ^ right[i]);

	return differ == 0;
}

/* The stored ones are random, whatever is presented for lookup. */
uint64_t token_bytes_hash(const void *bytes, size_t size)
{
	uint64_t first;

	PRE(size >= sizeof(first));
	memcpy(&first, bytes, sizeof(first));
	return hash_u64(first);
}

void token_to_hex(const struct token *token, char ret_hex[TOKEN_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < sizeof(token->b); i++) {
		ret_hex[2 * i] = digits[token->b[i] >> 4];
		ret_hex[2 * i + 1] = digits[token->b[i] & 15];
	}
	ret_hex[2 * sizeof(token->b)] = '\0';
}

int token_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool token_from_hex(const char *hex, size_t length, struct token *ret_token)
{
	struct token token;
	if (length != 2 * sizeof(token.b))
		return false;
	for (size_t i = 0; i < sizeof(token.b); i++) {
		int high = token_hex_digit(hex[2 * i]), low = token_hex_digit(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		token.b[i] = (uint8_t)(high << 4 | low);
	}
	*ret_token = token;
	return true;
}
