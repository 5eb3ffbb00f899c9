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
