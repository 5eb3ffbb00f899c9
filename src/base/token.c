/* token: constant-time comparison. No randomness is drawn here and nothing is printed. Called by
 * the core, which finds leases and sessions by their tokens, and by the edges. */
#include "base/token.h"

#include "base/hash.h"
#include "base/prepost.h"

bool token_bytes_equal(const void *a, const void *b, size_t size)
{
	const volatile uint8_t *left = a, *right = b;
	uint8_t differ = 0;

	PRE(size > 0);
	for (size_t i = 0; i < size; i++)
		differ |= (uint8_t)(left[i] ^ right[i]);
	return differ == 0;
}

uint64_t token_bytes_hash(const void *bytes, size_t size)
{
	return hash_bytes(0, bytes, size);
}
